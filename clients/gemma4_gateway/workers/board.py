"""What workers tell their supervisor, in memory that they share: signs of life, who serves."""

from __future__ import annotations

import mmap
import time

__all__ = ["Board"]

_ITEM = 8
"""Bytes of a number; aligned, so that no reader sees half of one."""


class Board:
    """Made before the first worker is forked, which has it then. A worker writes its own sign of
    life, the supervisor everything else, and all read. No lock, no file, nothing that waits."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._values = memoryview(mmap.mmap(-1, _ITEM * (1 + 2 * workers))).cast("d")

    def beat(self, number: int) -> None:
        """Say that the event loop of worker ``number`` runs."""
        self._values[1 + number] = time.monotonic()

    def last_beat(self, number: int) -> float:
        """Return when that was said last, in seconds of :func:`time.monotonic`."""
        return float(self._values[1 + number])

    def set_serving(self, number: int, *, serving: bool) -> None:
        self._values[1 + self._workers + number] = float(serving)

    @property
    def serving(self) -> int:
        """Workers that serve now."""
        return int(sum(self._values[1 + self._workers :]))

    @property
    def restarts(self) -> int:
        """Workers that were started again since the gateway began."""
        return int(self._values[0])

    def restarted(self) -> None:
        """Count one more."""
        self._values[0] += 1.0
