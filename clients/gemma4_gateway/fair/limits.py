"""Bounds of what waits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QueueLimits"]


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """What may wait: ``length`` answers and ``tokens`` of each tenant, for ``seconds``. ``length``
    0: none does; everything is sent at once."""

    length: int = 256
    tokens: int = 2_000_000
    seconds: float = 10.0

    def part_of(self, workers: int) -> QueueLimits:
        """Return what each of several workers may have wait, so that all have no more than this."""
        return QueueLimits(self.length // workers, self.tokens // workers, self.seconds)
