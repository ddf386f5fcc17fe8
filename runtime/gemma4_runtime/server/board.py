"""The status board: a small shared file by which the processes of one server see each other.

The engine step writes load and state, the models after it write how many chunks they have handled;
those before it (admission) and ``gemma4 serve`` (drain, supervision) read. Every field is an
aligned 8-byte word with one writer, so reads and writes need no lock. The key, by which the steps
know each other's messages, is written before the board can be opened and never again.
"""

from __future__ import annotations

import mmap
import os
import secrets
from enum import IntEnum
from pathlib import Path

from gemma4_runtime.server.seal import KEY_BYTES

__all__ = ["BOARD_NAME", "Board", "Field"]

BOARD_NAME = "board"
_MAGIC = 0x4734424F41524431  # "G4BOARD1"
_WORD = 8
"""Bytes of a word."""
_SIZE = 4096
"""Bytes of the file: one page."""


class Field(IntEnum):
    """Word offsets. All are unsigned counts; only the names' last part gives another unit."""

    MAGIC = 0
    ENGINE_PID = 1
    SLOTS = 2
    MAX_QUEUED = 3
    IN_FLIGHT = 4
    """Accepted requests whose last chunk or error has not been sent."""
    ACTIVE = 5
    QUEUED = 6
    DRAINING = 7
    ACCEPTED = 8
    FINISHED = 9
    CANCELLED = 10
    FAILED = 11
    PROMPT_TOKENS = 12
    CACHED_TOKENS = 13
    GENERATED_TOKENS = 14
    BEAT_NS = 16
    """time.monotonic_ns() of the last look of the emitter that looked least recently; the clock is
    the machine's. ``gemma4 serve`` restarts a server whose emitters stand still."""
    KV_BLOCKS_USED = 17
    KV_BLOCKS = 18
    """Of the engine's paged KV cache; 0 where it has none, or has not said yet."""
    IN_ENSEMBLE = 19
    """Those of IN_FLIGHT that came through an ensemble."""
    KV_BLOCK_TOKENS = 20
    """Tokens of one block of KV_BLOCKS."""
    RELEASED = 24
    """1 when the engine was closed before its server."""
    GATE_CLOSED = 25
    """1 while the last run of the quality gate failed and it is enforced: no request is taken."""
    GATE_FAILED = 26
    """1 while the last run of the quality gate failed, whether that is enforced or not."""
    CHUNKS_HANDLED = 32
    """Written by postprocessing."""
    NVIDIA_CHUNKS_HANDLED = 33
    """Written by nvidia_postprocessing."""
    KEY = 60
    """The first of four words, :attr:`Board.key`."""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _new_board() -> bytes:
    start = _MAGIC.to_bytes(_WORD, "little").ljust(Field.KEY * _WORD, b"\0")
    return (start + secrets.token_bytes(KEY_BYTES)).ljust(_SIZE, b"\0")


class Board:
    """A mapped board. Values are Python ints below 2**64."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Map ``path``; ``create`` makes it anew. Raises :class:`FileNotFoundError` when it is
        not there and :class:`ValueError` when it is not a board of this version."""
        if create:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = path.with_name(f"{path.name}.{os.getpid()}")
            fresh.unlink(missing_ok=True)
            with open(fresh, "xb", opener=_private) as file:
                file.write(_new_board())
            fresh.replace(path)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)
            self.inode = os.fstat(file.fileno()).st_ino
            """Another one at the same path is another run's board."""
        self._words = memoryview(self._map).cast("Q")
        if self[Field.MAGIC] != _MAGIC:
            self.close()
            raise ValueError(f"{path} is not a status board of this version")

    def __getitem__(self, field: Field) -> int:
        return self._words[field]

    def __setitem__(self, field: Field, value: int) -> None:
        self._words[field] = value

    @property
    def key(self) -> bytes:
        """Of this run's :class:`~gemma4_runtime.server.seal.Sealer`. It stays in this server's
        processes: the file can be read by its owner only."""
        start = Field.KEY * _WORD
        return self._map[start : start + KEY_BYTES]

    def close(self) -> None:
        self._words.release()
        self._map.close()
