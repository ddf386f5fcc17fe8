"""How soon, and how often, a worker that was lost is started again. Pure: it is given the time."""

from __future__ import annotations

from collections import deque

__all__ = ["Losses"]

_MOST = 5
"""Starts again of one worker within the window."""
_WINDOW_S = 300.0
"""Seconds after which a loss no longer counts."""
_FIRST_S = 0.1
"""Seconds to wait after the first loss; four times as many after each further one."""
_LONGEST_S = 30.0
"""Seconds to wait at most."""


class Losses:
    """Of one worker."""

    def __init__(self) -> None:
        self._at: deque[float] = deque()

    def lost(self, now: float) -> float | None:
        """Note a loss. Return the seconds to wait before the next start; None to give up."""
        self._at.append(now)
        while self._at[0] <= now - _WINDOW_S:
            self._at.popleft()
        if len(self._at) > _MOST:
            return None
        wait: float = _FIRST_S * 4.0 ** (len(self._at) - 1)
        return min(wait, _LONGEST_S)
