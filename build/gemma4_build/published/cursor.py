"""Read the little-endian values of a GGUF file's head one after another, within bounds."""

from __future__ import annotations

import struct
from typing import Any

from gguf import GGUFValueType

from gemma4_build.errors import BadCheckpointError, TruncatedFileError
from gemma4_build.shards import Shard

__all__ = ["AGAIN", "Cursor"]

AGAIN = "download it again"
_MOST_HEAD = 64 << 20
"""Bytes of a head. That of 26B-A4B has about 17 MB, nearly all of it tokens and merges."""
_WINDOW = 1 << 20
"""Bytes to read at once."""

_FORMATS = {
    GGUFValueType.UINT8: "B", GGUFValueType.INT8: "b", GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h", GGUFValueType.UINT32: "I", GGUFValueType.INT32: "i",
    GGUFValueType.FLOAT32: "f", GGUFValueType.BOOL: "?", GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q", GGUFValueType.FLOAT64: "d",
}  # fmt: skip


class Cursor:
    """A place in the head of ``file``. Every method raises :class:`TruncatedFileError` where the
    file ends, and :class:`BadCheckpointError` beyond what a head may have."""

    def __init__(self, file: Shard) -> None:
        self.at = 0
        self._file = file
        self._window, self._start = b"", 0

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        self._need(count)
        first = self.at - self._start
        if first + count > len(self._window):
            wanted = min(max(count, _WINDOW), self._file.size - self.at)
            self._window, self._start = self._file.read(self.at, wanted).tobytes(), self.at
            first = 0
        self.at += count
        return self._window[first : first + count]

    def skip(self, count: int) -> None:
        """Go on after the next ``count`` bytes."""
        self._need(count)
        self.at += count

    def numbers(self, kind: GGUFValueType, count: int = 1) -> tuple[Any, ...]:
        """Return the next ``count`` numbers, or truth values, of a type."""
        form = _FORMATS[kind]
        return struct.unpack(f"<{count}{form}", self.take(count * struct.calcsize(form)))

    def skip_numbers(self, kind: GGUFValueType, count: int) -> None:
        """Go on after the next ``count`` numbers of a type."""
        self.skip(count * struct.calcsize(_FORMATS[kind]))

    def count(self) -> int:
        """Return the next number of 64 bits."""
        return int.from_bytes(self.take(8), "little")

    def kind(self, what: str) -> GGUFValueType:
        """Return the next type of a value; ``what`` names it in errors."""
        found = int.from_bytes(self.take(4), "little")
        try:
            return GGUFValueType(found)
        except ValueError:
            raise BadCheckpointError(
                f"{self._file.path}: bad head ({what} is of the unknown type {found}); {AGAIN}"
            ) from None

    def text(self, what: str, most: int) -> str:
        """Return the next string, of at most ``most`` bytes; ``what`` names it in errors."""
        length = self.count()
        if length > most:
            raise BadCheckpointError(
                f"{self._file.path}: bad head ({what} has {length} bytes, at most {most}); {AGAIN}"
            )
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise BadCheckpointError(
                f"{self._file.path}: bad head ({what} is not UTF-8); {AGAIN}"
            ) from None

    def _need(self, count: int) -> None:
        if self.at + count > self._file.size:
            raise TruncatedFileError(
                f"{self._file.path}: truncated or damaged: {self._file.size} bytes, its head goes "
                f"on to {self.at + count}; {AGAIN}"
            )
        if self.at + count > _MOST_HEAD:
            raise BadCheckpointError(
                f"{self._file.path}: bad head (more than {_MOST_HEAD} bytes); {AGAIN}"
            )
