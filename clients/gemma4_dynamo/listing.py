"""Whether a worker is in Dynamo's discovery, as far as it could tell Dynamo."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gemma4_runtime.logs.events import log_event
from gemma4_runtime.one_line import one_line

__all__ = ["Listing"]


class Listing:
    """``join`` and ``leave`` tell Dynamo, and raise anything when that fails. It begins as listed,
    since Dynamo lists a worker that it serves. Belongs to one event loop."""

    def __init__(
        self, join: Callable[[], Awaitable[object]], leave: Callable[[], Awaitable[object]]
    ) -> None:
        self._tell = {True: join, False: leave}
        self._listed: bool | None = True
        self._failed = ""
        self._turn = asyncio.Lock()

    async def set(self, wanted: bool) -> bool:
        """Be in discovery, or not be; return whether that is so now. A failure is logged and may be
        tried again."""
        async with self._turn:
            if wanted == self._listed:
                return True
            # One that is cancelled meanwhile leaves it unknown.
            self._listed = None
            try:
                await self._tell[wanted]()
            except Exception as error:  # noqa: BLE001 - Dynamo's library raises no kind of its own
                self._tell_why(wanted, one_line(str(error)))
                return False
            self._listed, self._failed = wanted, ""
        log_event("joined_discovery" if wanted else "left_discovery")
        return True

    def _tell_why(self, wanted: bool, why: str) -> None:
        if why != self._failed:
            log_event("discovery_failed", level="warning", wanted=wanted, why=why)
        self._failed = why
