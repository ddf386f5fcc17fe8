"""Bring a file into the engine folder without copying its bytes, where the file system can."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gemma4_build.progress import Tick

__all__ = ["bring"]

_FICLONE = 0x40049409
"""ioctl of linux/fs.h: share the blocks of another file, copy on write."""
_STEP = 64 << 20
"""Bytes to copy in one call, so that an interrupt need not wait for a whole file."""


def bring(source: Path, target: Path, tick: Tick) -> str:
    """Make ``target`` hold what ``source`` holds; says how: "cloned", "linked" or "copied".

    A clone is its own file; a hard link is the source's file under a second name, so changing the
    source in place changes it too, which the manifest's hashes find. Raises :class:`OSError`.
    """
    source = source.resolve(strict=True)
    target.unlink(missing_ok=True)
    size = source.stat().st_size
    if _clone(source, target):
        how = "cloned"
    else:
        try:
            os.link(source, target)
            how = "linked"
        except OSError:
            _copy(source, target, tick)
            return "copied"
    tick(size)
    return how


def _clone(source: Path, target: Path) -> bool:
    with source.open("rb") as reader, target.open("xb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
            return True
        except OSError:
            pass
    target.unlink()
    return False


def _copy(source: Path, target: Path, tick: Tick) -> None:
    with source.open("rb") as reader, target.open("xb") as writer:
        while True:
            done = os.sendfile(writer.fileno(), reader.fileno(), None, _STEP)
            if done == 0:
                return
            tick(done)
