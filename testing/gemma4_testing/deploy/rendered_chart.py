"""Objects of the Helm chart as Helm rendered them (`make test-helm` keeps the files fresh)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["CPU", "GPU", "container_of", "objects", "pods"]

CPU, GPU = "cpu", "h200-keda"
RENDERED = Path(__file__).parents[3] / "tests" / "deploy" / "rendered"


@cache
def objects(name: str) -> tuple[dict[str, Any], ...]:
    text = (RENDERED / f"{name}.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load_all(text))


def pods(name: str) -> list[dict[str, Any]]:
    """The spec of each pod."""
    return [o["spec"]["template"]["spec"] for o in objects(name) if "template" in o.get("spec", {})]


def container_of(name: str, command: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod and the container that run ``gemma4 COMMAND``."""
    (found,) = [
        (pod, one)
        for pod in pods(name)
        for one in pod["containers"]
        if one["args"][:2] == ["gemma4", command]
    ]
    return found
