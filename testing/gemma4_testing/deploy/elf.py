"""Shared objects that the dynamic loader reads, made without a compiler."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

__all__ = ["write_shared_object"]

_NEEDED, _HASH, _STRTAB, _SYMTAB, _STRSZ, _SYMENT, _SONAME = 1, 4, 5, 6, 10, 11, 14
_HEADER, _PROGRAM = 64, 56


def write_shared_object(path: Path, *needed: str) -> Path:
    """Write a 64-bit library with no symbols that needs ``needed``; its name is the file's."""
    names = [path.name, *needed]
    strings, offsets = b"\0", []
    for name in names:
        offsets.append(len(strings))
        strings += name.encode() + b"\0"
    symbols = bytes(24)
    hashes = struct.pack("<4I", 1, 1, 0, 0)
    start = _HEADER + 3 * _PROGRAM
    at = {"symbols": start, "hashes": start + len(symbols)}
    at["strings"] = at["hashes"] + len(hashes)
    at["dynamic"] = (at["strings"] + len(strings) + 15) // 16 * 16
    entries = [(_SONAME, offsets[0]), *((_NEEDED, offset) for offset in offsets[1:])]
    entries += [(_HASH, at["hashes"]), (_STRTAB, at["strings"]), (_SYMTAB, at["symbols"])]
    entries += [(_STRSZ, len(strings)), (_SYMENT, 24), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    size = at["dynamic"] + len(dynamic)
    here = Path(sys.executable).read_bytes()[:20]
    header = here[:16] + struct.pack(
        "<HHIQQQIHHHHHH", 3, *struct.unpack("<H", here[18:20]), 1, 0, _HEADER, 0, 0,
        _HEADER, _PROGRAM, 3, 64, 0, 0,
    )  # fmt: skip
    # All of it, readable and writable: the loader relocates the dynamic section in place.
    load = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, size, size, 4096)
    section = at["dynamic"]
    table = struct.pack("<IIQQQQQQ", 2, 6, *[section] * 3, len(dynamic), len(dynamic), 8)
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)
    body = (header + load + table + stack + symbols + hashes + strings).ljust(section, b"\0")
    path.write_bytes(body + dynamic)
    path.chmod(0o755)
    return path
