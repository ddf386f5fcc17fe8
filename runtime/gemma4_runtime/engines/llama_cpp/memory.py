"""How llama.cpp's copies of the weights, and what it remembers of prompts, are kept in bounds.

Where llama.cpp repacks int4 weights, the mapped file stays beside the repacked copy: 23.6 GB for a
file of 14.6 GB. So the mapped pages are given back once the model is loaded. While it loads, the
system takes them back where memory is short; where it is too short for that, the file is read
instead of mapped, which takes twice as long.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

__all__ = ["CHECKPOINTS", "drop_mapped_copy", "fits_mapped"]

CHECKPOINTS = 1
"""Copies of the sliding layers' KV cache that a slot keeps, to go on from the end of its prompt
when the answer after it has changed (the next turn leaves thoughts out). llama.cpp makes two for
each prompt and keeps 32 unless told otherwise: up to 8 GB a slot for 26B-A4B."""

_REPACKED = 0.5
"""Of the file: with more than this much memory of its own the process has a repacked copy."""


def fits_mapped(model_bytes: int, available: int) -> bool:
    """Return whether ``available`` bytes are enough to map the file and repack it at once. The 26B
    was loaded so within 1.6 times its file; below 1.5 times nobody has tried."""
    return available >= 1.5 * model_bytes


def drop_mapped_copy(model: Path) -> int:
    """Give back the mapped pages of ``model`` if this process also holds it repacked, and return
    the bytes of its mappings. What is still used of them comes back by itself: nothing is lost,
    since nobody has written to them. Call it while nothing maps or unmaps the file."""
    if _anonymous_bytes() < _REPACKED * model.stat().st_size:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    dropped = 0
    for begin, end in _mappings(os.path.realpath(model)):
        if libc.madvise(begin, end - begin, mmap.MADV_DONTNEED) == 0:
            dropped += end - begin
    return dropped


def _mappings(path: str) -> list[tuple[int, int]]:
    """Return begin and end of this process's read-only mappings of the file."""
    found = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == path and "w" not in fields[1]:
            begin, end = fields[0].split("-")
            found.append((int(begin, 16), int(end, 16)))
    return found


def _anonymous_bytes() -> int:
    """Return RssAnon of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    return 0
