"""SHA-256 of big files, remembered between starts.

A hash is reused while the file's size, inode and times are the same; ``st_ctime_ns`` cannot be
set back by a program, so a changed file is read again. The cache lies in the user's cache folder,
since engine folders are often mounted read-only.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

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
        self._file = file or _default_file()
        self._entries = _load(self._file)
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
        if self._file is None or not self._changed:
            return
        newest = dict(list(self._entries.items())[-_MAX_ENTRIES:])
        temporary = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(newest), encoding="utf-8")
            temporary.replace(self._file)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _default_file() -> Path | None:
    try:
        return Path.home() / ".cache" / "gemma4-triton" / "hashes.json"
    except RuntimeError:
        return None


def _load(file: Path | None) -> dict[str, list[int | str]]:
    if file is None:
        return {}
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {k: v for k, v in data.items() if isinstance(v, list) and len(v) == 6}
