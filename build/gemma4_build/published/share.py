"""Have two files share their bytes on the disk, where the file system can (Btrfs, XFS).

``FICLONERANGE`` (ioctl_ficlonerange(2)) takes whole blocks of the file system. A shared block is
copied by the file system once somebody writes to it, so neither file ever shows in the other.
"""

from __future__ import annotations

import fcntl
import struct

__all__ = ["BLOCK", "share"]

_FICLONERANGE = 0x4020940D
BLOCK = 4096
"""Bytes of a block of both file systems where memory pages have 4096."""


def share(source: int, target: int, *, begin: int, end: int, shift: int) -> tuple[int, int]:
    """Share the whole blocks of the open file ``source`` in ``begin`` to ``end`` with ``target``,
    where they lie ``shift`` bytes further. Returns the bytes of ``source`` that are shared; (0, 0)
    where the file system cannot do it."""
    begin += -begin % BLOCK
    length = (end - begin) // BLOCK * BLOCK
    if length <= 0 or shift % BLOCK:
        return 0, 0
    wanted = struct.pack("qQQQ", source, begin, length, begin + shift)
    try:
        fcntl.ioctl(target, _FICLONERANGE, wanted)
    except OSError:
        return 0, 0
    return begin, begin + length
