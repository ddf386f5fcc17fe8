"""What runs, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gemma4_gateway.errors import ApiError, unavailable

__all__ = ["Lifecycle"]


class Lifecycle:
    """``draining`` once the process was asked to stop."""

    def __init__(self) -> None:
        self.draining = False
        self._running: set[Callable[[ApiError], None]] = set()
        self.idle = asyncio.Event()
        self.idle.set()

    @property
    def running(self) -> int:
        return len(self._running)

    def enter(self, abort: Callable[[ApiError], None]) -> None:
        """Enter a request. ``abort`` ends the request with the error it is given. Raises 503 when
        draining."""
        self.check()
        self._running.add(abort)
        self.idle.clear()

    def leave(self, abort: Callable[[ApiError], None]) -> None:
        self._running.discard(abort)
        if not self._running:
            self.idle.set()

    def check(self) -> None:
        """Raise 503 when draining."""
        if self.draining:
            raise unavailable(
                "the gateway is draining before it stops; use another one",
                code="draining",
                retry_after=1,
            )

    def abort_all(self) -> int:
        """End what still runs; the number of those."""
        aborts = list(self._running)
        for abort in aborts:
            abort(unavailable("the gateway stopped before the answer was whole", code="draining"))
        return len(aborts)
