"""How fast the back ends work while requests wait for them. Pure: it is given the time."""

from __future__ import annotations

__all__ = ["Meter"]

_KEPT = 0.99
"""What counts of the past after each request: about 100 of them do."""
_ENOUGH = 8.0
"""Requests that must have ended before anything is said."""
_ENOUGH_S = 0.5
"""Seconds that must have been measured before anything is said."""


class Meter:
    """Counts only between ``begin`` and ``stop``: while nobody waits, the back ends are not asked
    for all that they can do."""

    def __init__(self) -> None:
        self._tokens = self._requests = self._seconds = 0.0
        self._since: float | None = None
        self._pace = 0.0

    def begin(self, now: float) -> None:
        """Note that requests wait from now on."""
        if self._since is None:
            self._since = now

    def stop(self, now: float) -> None:
        """Note that none waits any more."""
        self._pass(now)
        self._since = None

    def ended(self, tokens: float, now: float) -> None:
        """Count a request that has ended, and the ``tokens`` that it was expected to have."""
        if self._since is not None:
            self._pass(now)
            self._tokens = self._tokens * _KEPT + tokens
            self._requests = self._requests * _KEPT + 1
            self._seconds *= _KEPT

    def took(self, answer: int, seconds: float) -> None:
        """Note how long an answer took, whether others waited or not."""
        if answer:
            self._pace += (
                (1 - _KEPT) * (seconds / answer - self._pace) if self._pace else (seconds / answer)
            )

    @property
    def seconds_per_token(self) -> float:
        """Seconds that one request takes for each token of its answer; 0 before any has ended."""
        return self._pace

    @property
    def rate(self) -> float | None:
        """Expected tokens per second, prompts included; None while too little was measured."""
        if self._requests < _ENOUGH or self._seconds < _ENOUGH_S or not self._tokens:
            return None
        return self._tokens / self._seconds

    @property
    def mean_tokens(self) -> float:
        """Expected tokens of a request; call it only where there is a rate."""
        return self._tokens / self._requests

    def _pass(self, now: float) -> None:
        if self._since is None:
            return
        self._seconds += now - self._since
        self._since = now
