"""The chunks of one call that come on two ways, put in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gemma4_client.errors import Gemma4Error, StreamOrderError, UnavailableError
from gemma4_client.results import Delta, merged

__all__ = ["Inbox"]

_SILENCE_S = 10.0
"""What is on its way when the call's own stream has ended comes within this time, or never."""

_MOST = 32
"""Chunks that wait for a reader."""


class Inbox:
    """Of one event loop. Chunks come by the call's own stream and by a feed, whichever the server
    takes; the reader gets them in order. Those of a reader that lags are put together, so that it
    keeps their text and not a chunk for each token, and counted anew. It ends when both ways
    have."""

    def __init__(self) -> None:
        self._ready: list[Delta] = []
        self._early: dict[int, Delta] = {}
        self._next = self._given = 0
        self._ways = {"call", "feed"}
        self._error: Gemma4Error | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._silence: asyncio.TimerHandle | None = None
        self.whole = False

    def put(self, delta: Delta) -> None:
        if delta.index < self._next:
            self.fail(StreamOrderError(f"chunk {delta.index} arrived twice"))
            return
        self._early[delta.index] = delta
        while (due := self._early.pop(self._next, None)) is not None:
            self._next += 1
            self._ready.append(due)
            self.whole = due.finish_reason != ""
        if len(self._ready) > _MOST:
            self._ready = [merged(self._ready, index=0)]
        self._wake()

    def ended(self, way: str) -> None:
        """Note that nothing more comes by ``way``: "call" or "feed"."""
        self._ways.discard(way)
        if self._ways == {"feed"} and not self.whole:
            loop = asyncio.get_running_loop()
            lost = UnavailableError("the call has ended, and the feed did not bring its last chunk")
            self._silence = loop.call_later(_SILENCE_S, self.fail, lost)
        self._wake()

    def fail(self, error: Gemma4Error) -> None:
        """Fail the answer; the reader is told when it has read what came before."""
        if not self.whole:
            self._error = self._error or error
        self._wake()

    async def get(self) -> Delta | None:
        """Return the next chunk; None at the end."""
        while not self._ready:
            if self._error is not None:
                raise self._error
            if not self._ways:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        delta = self._ready.pop(0)
        if delta.index != self._given:
            delta = replace(delta, index=self._given)
        self._given += 1
        return delta

    def close(self) -> None:
        """Close the inbox: nobody reads any more."""
        if self._silence is not None:
            self._silence.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
