"""SHA-256 of big files, remembered between starts.

A hash is reused while the file's size, inode and times are the same; ``st_ctime_ns`` cannot be
set back by a program, so a changed file is read again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from gemma4_runtime.user_cache import cache_file, read_entries, write_entries

__all__ = ["HashCache", "sha256_file"]

_MAX_ENTRIES = 256
"""Files that the cache remembers; older ones make room, so that it stays a small file."""


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of the file's content. Raises :class:`OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class HashCache:
    """File hashes by path. A cache that cannot be read or written only costs time."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or cache_file("hashes.json")
        found = read_entries(self._file)
        self._entries: dict[str, list[int | str]] = {
            k: v for k, v in found.items() if isinstance(v, list) and len(v) == 6
        }
        self._changed = False

    def sha256(self, path: Path) -> str:
        """Return the hexadecimal SHA-256 of ``path``, from the cache if the file did not change."""
        path = path.resolve()
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]
        known = self._entries.get(str(path))
        if known is not None and known[:-1] == stamp:
            return str(known[-1])
        digest = sha256_file(path)
        self._entries.pop(str(path), None)
        self._entries[str(path)] = [*stamp, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        """Write the cache if it changed."""
        if self._changed:
            write_entries(self._file, self._entries, most=_MAX_ENTRIES)
