"""Tell a process that Triton never answers."""

from __future__ import annotations

__all__ = ["WAIT_S", "TritonWait"]

WAIT_S = 5.0
"""Seconds after which Triton has locked itself (:mod:`gemma4_runtime.processes.triton_calls`). With
40 processes that compute on two cores, and 24 streams, no call of it took as long as a beat
(0.2 s)."""
_STEP_S = 0.5
"""Seconds that count between two looks at most: the machine, or we, may have stood still."""
_FRESH_S = 1.0
"""A process whose last sign of life is older has not said lately whether it still waits."""


class TritonWait:
    """Looks at the signs of one process again and again."""

    def __init__(self) -> None:
        self._since = 0.0
        self._seconds = 0.0
        self._last_look = float("inf")

    def look(self, now: float, signs: tuple[float, float] | None) -> float | None:
        """Return how many seconds the process has waited, when the server is to be given up for
        it. Call it several times a second. ``now``: :func:`time.monotonic`. ``signs``: the last
        sign of life, and since when the process waits for Triton (0: it does not), by the same
        clock; None for a process that has no signs."""
        step = min(max(now - self._last_look, 0.0), _STEP_S)
        self._last_look = now
        beat, since = signs or (0.0, 0.0)
        if not since or since != self._since:
            self._since, self._seconds = since, 0.0
        elif now - beat <= _FRESH_S:
            self._seconds += step
        return now - since if self._seconds > WAIT_S else None
