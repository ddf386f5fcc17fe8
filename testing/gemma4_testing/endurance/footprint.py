"""What the processes of a stack hold, by the kernel's own word."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import psutil
from gemma4_serve.proc import name_of

from gemma4_testing.servers.process_tree import lasting

__all__ = ["ALLOWED", "COUNTS", "Courses", "sample", "shared_memory"]

ALLOWED = {
    "rss MB": 16.0, "anon MB": 16.0, "descriptors": 8.0, "threads": 8.0,
    "shm MB": 4.0, "shm files": 4.0, "run folder KB": 64.0,
}  # fmt: skip
"""Growth per hour of one process, or of the machine, below which a figure is called flat. Pools of
threads fill up slowly, and Triton 2.51 keeps a descriptor at times (docs/security.md)."""

COUNTS = frozenset({"descriptors", "threads", "shm files"})
"""Figures that each connection or request adds to while it lasts: they count when all rest."""

Courses = dict[tuple[str, str], list[tuple[float, float]]]
"""Process and figure to samples of seconds and value."""

_ANON = re.compile(r"^RssAnon:\s+(\d+) kB", re.M)


def _anonymous(pid: int) -> float:
    found = _ANON.search(Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1000 if found else 0.0


def shared_memory(folder: Path = Path("/dev/shm")) -> tuple[float, int]:
    """Return megabytes and files of our servers in it."""
    sizes = [path.stat().st_blocks * 512 for path in folder.glob("gemma4_*")]
    return sum(sizes) / 1e6, len(sizes)


def _folder_kb(folder: Path) -> float:
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_symlink()) / 1000


def sample(courses: Courses, at: float, roots: dict[str, int], run_dir: Path) -> None:
    """Add what ``roots`` (name to process id) and all below them hold, ``at`` so many seconds."""
    counts: dict[str, int] = defaultdict(int)
    for root, root_pid in roots.items():
        for process in lasting(root_pid):
            try:
                figures = {
                    "rss MB": process.memory_info().rss / 1e6,
                    "anon MB": _anonymous(process.pid),
                    "descriptors": process.num_fds(),
                    "threads": process.num_threads(),
                }
            except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                continue
            name = root if process.pid == root_pid else name_of(process.pid)
            counts[name] += 1
            name = f"{name} {counts[name]}" if counts[name] > 1 else name
            for figure, value in figures.items():
                courses[name, figure].append((at, value))
    size, files = shared_memory()
    courses["machine", "shm MB"].append((at, size))
    courses["machine", "shm files"].append((at, files))
    courses["machine", "run folder KB"].append((at, _folder_kb(run_dir)))
