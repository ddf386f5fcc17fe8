"""A gateway of two workers in its container: one is killed and replaced."""

from __future__ import annotations

import re
import ssl
import time
from pathlib import Path

from checks import Checks, get
from project import Project

__all__ = ["lost_worker"]

_REPLACED_S = 30
_WORKERS = """
import pathlib
parents = {}
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    program, *words = (folder / "cmdline").read_bytes().split(b"\\0")
    if b"python" in program and b"gateway" in words:
        parents[folder.name] = (folder / "stat").read_text().rpartition(")")[2].split()[1]
print(*(each for each, parent in parents.items() if parent in parents))
"""
"""Prints the commands `gateway` that such a command began; the container's init is none."""


def _workers(project: Project) -> set[str]:
    return set(project.exec("gateway", "python3", "-c", _WORKERS).stdout.split())


def _restarts(port: str, authority: Path) -> float:
    trust = ssl.create_default_context(cafile=authority)
    text = get(f"https://127.0.0.1:{port}/metrics", context=trust)[1]
    found = re.search(r"^gemma4_gateway_worker_restarts_total(?:{.*})? (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else -1.0


def lost_worker(check: Checks, project: Project, port: str, authority: Path) -> None:
    """Kill one by the number that it has in the container."""
    before, counted = _workers(project), _restarts(port, authority)
    if not check(f"two workers: {sorted(before)}", len(before) == 2):
        return
    lost = min(before)
    project.exec("gateway", "python3", "-c", f"import os; os.kill({lost}, 9)")
    began = time.monotonic()
    while time.monotonic() - began < _REPLACED_S:
        found, restarts = _workers(project), _restarts(port, authority)
        if len(found) == 2 and lost not in found and restarts == counted + 1:
            break
        time.sleep(0.5)
    check(f"worker {lost} killed: {sorted(found)} after {time.monotonic() - began:.1f} s, "
          f"{restarts - counted:g} counted",
          len(found) == 2 and lost not in found and restarts == counted + 1)  # fmt: skip
