"""Which engine answers, remembered for a while: part of every cache key. Pure."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

__all__ = ["IDENTITY_TTL_S", "Identity"]

IDENTITY_TTL_S = 10.0
"""A server that was started again with another engine is found out this late."""


class Identity:
    """The engine's id, or None when it has to be asked for. ``runtime`` is that of the engine which
    was set last."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._known: tuple[str, float] | None = None
        self.runtime = ""

    def get(self) -> str | None:
        known = self._known
        if known is None or self._now() - known[1] > IDENTITY_TTL_S:
            return None
        return known[0]

    def set(self, engine: str, runtime: str = "") -> str:
        self.runtime = runtime
        self._known = (engine, self._now())
        return engine

    def forget(self) -> None:
        """Forget the identity: the server was lost, and what comes back may be another."""
        self._known = None
