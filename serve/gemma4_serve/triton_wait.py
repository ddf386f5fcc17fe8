"""Tell a process whose response Triton never takes."""

from __future__ import annotations

from collections.abc import Callable

from gemma4_serve.liveness import Still

__all__ = ["WAIT_S", "TritonWait"]

WAIT_S = 5.0
"""A response is taken within a millisecond, on a machine that is far too busy within some hundred.
After so many seconds Triton has locked itself (:mod:`gemma4_runtime.processes.triton_calls`)."""
_STEP_S = 0.5
"""Seconds that count between two looks at most: the machine, or we, may have stood still."""
_FRESH_S = 1.0
"""A process whose last sign of life is older has not said lately whether it still waits."""


class TritonWait:
    """Looks at one process again and again. ``signs`` gives its last sign of life, and since when
    it waits for Triton (0: it does not), both as :func:`time.monotonic`; None for a process that
    has no signs."""

    def __init__(self, signs: Callable[[], tuple[float, float] | None]) -> None:
        self._signs = signs
        self._since = 0.0
        self._seconds = 0.0
        self._last_look = float("inf")

    def look(self, now: float) -> Still | None:
        """Return why the server is to be given up, or None. Call it several times a second.
        ``now``: :func:`time.monotonic`."""
        step = min(max(now - self._last_look, 0.0), _STEP_S)
        self._last_look = now
        signs = self._signs()
        if signs is None or not signs[1] or signs[1] != self._since:
            self._since, self._seconds = 0.0 if signs is None else signs[1], 0.0
            return None
        if now - signs[0] <= _FRESH_S:
            self._seconds += step
        if self._seconds <= WAIT_S:
            return None
        return Still("stuck", f"did not take a response for {now - self._since:.1f} s")
