"""Tell a process that stands still from one that is only busy, slow or waiting for a processor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gemma4_runtime.restarts import RestartReason

from gemma4_serve.proc import BUSY, STOPPED, main_state, thread_states

__all__ = ["FROZEN_S", "STUCK_S", "Liveness", "Still"]

FROZEN_S = 1.3
"""A process that gave no sign of life for so long, with no thread that runs or wants to, is frozen.
Triton gives a model's process up after a second, so nothing could save it."""
STUCK_S = 20.0
"""The same of one that computes or waits for a disk all the time: a machine may be very slow."""
_CALM_S = 0.8
"""Seconds since a thread was at work after which a silent process no longer counts as busy. After a
sign of life in the last half of it the threads are not looked at."""
_PAUSED_S = 1.0
"""Seconds between two looks after which the supervisor itself has stood still."""
_GRACE_S = 2.0
"""Seconds after such a pause before a process is judged."""


@dataclass(frozen=True, slots=True)
class Still:
    """Why a process is to be given up: ``cause`` in words."""

    reason: RestartReason
    cause: str


class Liveness:
    """Looks at one process again and again. ``beat`` gives the time of its last sign of life
    (:func:`time.monotonic`), None for none yet; without ``beat`` only a stopped process is seen."""

    def __init__(
        self,
        pid: int,
        *,
        beat: Callable[[], float | None] | None = None,
        states: Callable[[int], frozenset[str]] | None = None,
    ) -> None:
        """``states`` None: of all threads, where signs of life are missing; without ``beat`` of the
        first one, since a stop stops all, and Triton has 300."""
        self._pid = pid
        self._beat = beat
        self._states = states or (main_state if beat is None else thread_states)
        self._last_look = float("-inf")
        self._judge_from = float("-inf")
        self._running = float("-inf")  # when a thread was last seen not to be stopped
        self._busy = float("-inf")  # when a thread was last seen at work

    def look(self, now: float) -> Still | None:
        """Look at the process; return why it is to be given up, or None. Call it several times a
        second. ``now``: :func:`time.monotonic`."""
        if now - self._last_look > _PAUSED_S:  # the first time, or we stood still ourselves
            self._judge_from = now + _GRACE_S
            self._running = self._busy = now
        self._last_look = now
        beat = self._beat() if self._beat is not None else None
        quiet = now - beat if beat is not None else 0.0
        if self._beat is not None and quiet < _CALM_S / 2 and beat is not None:
            self._running = now
            return None
        states = self._states(self._pid)
        if not states or states - STOPPED:
            self._running = now
        if states & BUSY:
            self._busy = now
        if now < self._judge_from:
            return None
        if now - self._running > FROZEN_S:
            return Still("frozen", f"was stopped for {now - self._running:.1f} s")
        if quiet > FROZEN_S and now - self._busy > _CALM_S:
            return Still("frozen", f"gave no sign of life for {quiet:.1f} s")
        if quiet > STUCK_S:
            return Still("stuck", f"was too busy to give a sign of life for {quiet:.0f} s")
        return None
