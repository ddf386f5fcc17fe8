"""What the engines of a simulation tell."""

from __future__ import annotations

from typing import Protocol

from gemma4_plan.simulate.request import Request

__all__ = ["Sink"]


class Sink(Protocol):
    """``waiting`` requests before all engines now, ``suspended`` ones so far."""

    waiting: int
    suspended: int

    def started(self, request: Request, now: float) -> None:
        """Take note that an engine has taken the request out of its queue."""
        ...

    def ended(self, request: Request, now: float) -> None:
        """Take note of the last token."""
        ...

    def spent(self, began: float, now: float, *, running: int, held: float, tokens: int) -> None:
        """Take note of steps from ``began`` to ``now`` with ``running`` requests, which had
        ``held`` tokens in the KV cache on average and got ``tokens``."""
        ...
