"""How often and how soon a lost server is started again, and how often it was, by reason."""

from __future__ import annotations

from collections import deque

from gemma4_runtime.restarts import RESTART_REASONS, RestartReason

__all__ = ["RestartPolicy"]

_FIRST_S = 0.5
"""Seconds to wait after the first loss."""
_LONGEST_S = 30.0
"""Seconds to wait at most."""


class RestartPolicy:
    """At most ``most`` restarts in ``window`` seconds, each later than the one before."""

    def __init__(self, most: int, *, window: float) -> None:
        self.most = most
        self.window = window
        self.counts: dict[RestartReason, int] = dict.fromkeys(RESTART_REASONS, 0)
        """Restarts since the beginning, by reason."""
        self._losses: deque[float] = deque()

    @property
    def losses(self) -> int:
        """In the window, by the last call of :meth:`lost`."""
        return len(self._losses)

    def lost(self, now: float, reason: RestartReason) -> float | None:
        """Note that the server was lost. Return the seconds to wait before the next start: 0.5,
        doubled with every loss in the window, at most 30; None to give up. ``now``:
        :func:`time.monotonic`."""
        self._losses.append(now)
        while self._losses[0] <= now - self.window:
            self._losses.popleft()
        if len(self._losses) > self.most:
            return None
        self.counts[reason] += 1
        exponent: int = min(len(self._losses) - 1, 10)
        return float(min(_FIRST_S * 2**exponent, _LONGEST_S))
