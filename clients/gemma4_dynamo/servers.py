"""The Triton servers of a worker: which can answer, and which has the least to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from gemma4_client import AsyncClient, Gemma4Error, ServerInfo

from gemma4_dynamo.token_texts import TokenTexts

__all__ = ["Server", "Servers"]

_TIMEOUT_S = 3.0
"""Seconds that a server has to say whether it is ready."""


class Server:
    """One Triton server. ``client`` is for answers, ``plain`` for what must not wait behind them.
    ``running`` are the requests of this worker that it has now."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = AsyncClient(address, retry=None, breaker=None)
        self.plain = AsyncClient(address, retry=None, breaker=None)
        self.texts = TokenTexts(self.plain)
        self.ready = False
        self.running = 0

    async def check(self) -> bool:
        """Ask whether its models are ready."""
        try:
            self.ready = await self.plain.ready(timeout=_TIMEOUT_S)
        except Gemma4Error:
            self.ready = False
        return self.ready

    async def info(self) -> ServerInfo:
        """Ask which engine it runs. Raises the exceptions of :mod:`gemma4_client.errors`."""
        return await self.plain.server_info(timeout=_TIMEOUT_S)

    async def close(self) -> None:
        await self.client.close()
        await self.plain.close()


class Servers:
    """All of them. ``interval``: seconds between two looks at each."""

    def __init__(self, addresses: Iterable[str], *, interval: float) -> None:
        self.all: Sequence[Server] = [Server(address) for address in dict.fromkeys(addresses)]
        self._interval = interval
        self._changed = asyncio.Event()

    @property
    def any_ready(self) -> bool:
        return any(server.ready for server in self.all)

    def pick(self, tried: frozenset[str] = frozenset()) -> Server | None:
        """Return the ready server with the fewest requests that is not in ``tried``; None without
        one."""
        ready = [s for s in self.all if s.ready and s.address not in tried]
        return min(ready, key=lambda server: server.running, default=None)

    def lost(self, server: Server) -> None:
        """Send ``server`` nothing until it says that it is ready: a request failed there."""
        server.ready = False
        self._changed.set()

    async def watch(self, on_change: Callable[[bool], Awaitable[None]]) -> None:
        """Look at all of them until cancelled; ``on_change`` hears whether any is ready, first
        after the first look and then when that changes."""
        before: bool | None = None
        while True:
            await asyncio.gather(*(server.check() for server in self.all))
            if self.any_ready != before:
                before = self.any_ready
                await on_change(before)
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), self._interval)
            except TimeoutError:
                pass

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self.all))
