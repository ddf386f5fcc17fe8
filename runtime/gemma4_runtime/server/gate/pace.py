"""How long the quality gate waits from one prompt to the next. Pure."""

from __future__ import annotations

from gemma4_runtime.server.gate.outcome import Outcome

__all__ = ["FAILED_AGAIN_S", "INTERVAL_S", "SHARE", "SKIPPED_AGAIN_S", "Pace"]

INTERVAL_S = 50.0
"""Seconds over which the prompts of a run are spread, where nobody says: with the two seconds of
silence before a prompt, every one of them is replayed within a minute."""
SHARE = 0.005
"""Of the engine's time that replays may take, where nobody says how often. Prompts that take longer
than it are spread over more than :data:`INTERVAL_S`."""
SKIPPED_AGAIN_S = 600.0
"""Seconds at least from a skipped run to the next: what hindered it will often still be there."""
FAILED_AGAIN_S = 60.0
"""Seconds from a failed run to the next, where the interval is longer or none."""


class Pace:
    """``interval`` (seconds) None: :data:`INTERVAL_S` and :data:`SHARE`; 0: one run. ``prompts``:
    replays of a run."""

    def __init__(self, interval: float | None, prompts: int) -> None:
        self.interval = INTERVAL_S if interval is None else interval
        self._share = SHARE if interval is None else None
        self._prompts = prompts

    def pause(self, last: Outcome | None, *, begun: bool, asked_s: float) -> float | None:
        """Return the seconds to the next prompt; None for never. ``last``: the run before this one,
        of which a prompt was replayed if it has ``begun``. ``asked_s``: what the last replay took
        the engine."""
        if last is not None and last.result == "failed":
            return 0.0 if begun else min(self.interval or FAILED_AGAIN_S, FAILED_AGAIN_S)
        if last is None or (begun and not self.interval):
            return 0.0
        if not self.interval:
            return None
        if last.result == "skipped" and not begun:
            return max(self.interval, SKIPPED_AGAIN_S)
        spread = self.interval / self._prompts
        return spread if self._share is None else max(spread, asked_s / self._share)
