"""Imports every module of clients, gateway, load tests and commands, as `make test-pythons` does on
each Python. Locust's users are left out: locust patches the process that imports them."""

from __future__ import annotations

import importlib
import pkgutil

PACKAGES = ("gemma4_client", "gemma4_gateway", "gemma4_load", "gemma4_cli")


def main() -> None:
    count = 0
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if ".locust_users" not in module.name and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
                count += 1
    print(f"imported {count} modules")


if __name__ == "__main__":
    main()
