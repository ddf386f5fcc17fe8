"""A rate that is kept over a minute. Pure: it is given the time."""

from __future__ import annotations

__all__ = ["Bucket"]


class Bucket:
    """Token bucket: holds a minute's worth, refills evenly. It may be overdrawn by ``spend``, for
    costs that are known only afterward."""

    def __init__(self, per_minute: int, now: float) -> None:
        self._per_minute = per_minute
        self._level = float(per_minute)
        self._at = now

    def wait(self, now: float, *, need: float = 1.0) -> float:
        """Return the seconds until ``need`` is there; 0 when it is."""
        self._level = min(
            self._per_minute, self._level + (now - self._at) * self._per_minute / 60.0
        )
        self._at = now
        return max(0.0, (need - self._level) * 60.0 / self._per_minute)

    def spend(self, amount: float) -> None:
        self._level -= amount

    @property
    def spent(self) -> float:
        """What is missing, as at :attr:`at`."""
        return self._per_minute - self._level

    @property
    def at(self) -> float:
        """The time that it was told last."""
        return self._at

    def restore(self, spent: float, at: float) -> None:
        """Set what is missing, as at ``at``: another process has used it."""
        self._level, self._at = self._per_minute - spent, at
