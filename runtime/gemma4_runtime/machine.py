"""What this machine, or the container around us, has left."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

__all__ = ["SMALL_MODEL", "available_memory", "compute_threads"]

_CGROUP = Path("/sys/fs/cgroup")
"""cgroup v2 of this process, as containers see it."""


def available_memory() -> int:
    """Return the bytes that a new process can use: free memory and page cache, or what the
    container's limit leaves if that is less."""
    available = int(psutil.virtual_memory().available)
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return available
    cached = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    return min(available, max(0, limit - used + cached))


SMALL_MODEL = 256 << 20
"""Bytes below which a model gets one compute thread: a second one costs more than it gives."""


def compute_threads(model_bytes: int) -> int:
    """Return the number of threads for llama.cpp: every core that this process may use, but one for
    a model below 256 MiB, whose threads would spend their time spinning at barriers and take the
    cores from Triton. Measured on two cores, demo checkpoint, 4 streams through Triton: 993
    tokens/s with one thread, 754 with two."""
    return 1 if model_bytes < SMALL_MODEL else len(os.sched_getaffinity(0))
