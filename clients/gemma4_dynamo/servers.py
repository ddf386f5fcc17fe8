"""The Triton servers of a worker: which can answer, and which has the least to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from gemma4_client import AsyncClient, Gemma4Error, ServerInfo
from gemma4_client.concurrency.timeouts import TIMED_OUT
from gemma4_runtime.logs.events import log_event

from gemma4_dynamo.options import OptionsError
from gemma4_dynamo.token_texts import TokenTexts

__all__ = ["Server", "Servers"]

_TIMEOUT_S = 3.0
"""Seconds that a server has to say whether it is ready."""

Accept = Callable[[str, ServerInfo], None]
"""Raises OptionsError for a server, of this address, with an engine that must not be asked."""


def _accept(address: str, info: ServerInfo) -> None:
    """Take every engine."""


class Server:
    """One Triton server. ``client`` is for answers, ``plain`` for what must not wait behind them.
    ``running`` are the requests of this worker that it has now. ``refused``: why its engine is
    not asked, "" when it is."""

    def __init__(self, address: str, accept: Accept) -> None:
        self.address = address
        self._accept = accept
        self.refused = ""
        self.client = AsyncClient(address, retry=None, breaker=None)
        self.plain = AsyncClient(address, retry=None, breaker=None)
        self.texts = TokenTexts(self.plain)
        self.ready = False
        self.running = 0

    async def check(self) -> bool:
        """Ask whether it takes requests, and one that began to for its engine."""
        try:
            up = await self.plain.ready(timeout=_TIMEOUT_S)
            if up and not self.ready:
                self._accept(self.address, await self.info())
            self.ready, self.refused = up, ""
        except OptionsError as error:
            self.ready, self.refused = False, str(error)
        except Gemma4Error:
            self.ready = False
        return self.ready

    async def why_not(self) -> str:
        """Return why it is not ready."""
        if self.refused:
            return self.refused
        try:
            info = await self.info()
        except Gemma4Error as error:
            return str(error)
        if info.refusal:
            return f"it refuses requests: {info.refusal}"
        return "not all of its models are ready"

    async def info(self) -> ServerInfo:
        """Ask which engine it runs. Raises the exceptions of :mod:`gemma4_client.errors`."""
        return await self.plain.server_info(timeout=_TIMEOUT_S)

    async def close(self) -> None:
        await self.client.close()
        await self.plain.close()


class Servers:
    """All of them. ``interval``: seconds between two looks at each."""

    def __init__(
        self, addresses: Iterable[str], *, interval: float, accept: Accept = _accept
    ) -> None:
        unique = dict.fromkeys(addresses)
        self.all: Sequence[Server] = [Server(address, accept) for address in unique]
        self._interval = interval
        self._told: dict[str, str] = {}
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

    async def watch(self, on_change: Callable[[bool], Awaitable[bool]]) -> None:
        """Look at all of them until cancelled; ``on_change`` hears whether any is ready, first
        after the first look and then when that changes. When it returns False, it hears so again
        after the next look."""
        before: bool | None = None
        while True:
            await asyncio.gather(*(server.check() for server in self.all))
            ready = self.any_ready
            if ready != before:
                before = ready if await on_change(ready) else None
            await self.tell()
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), self._interval)
            except TIMED_OUT:
                pass

    async def tell(self) -> None:
        """Log which servers are ready, and why others are not, as far as that is news."""
        waiting = [server for server in self.all if not server.ready]
        reasons = await asyncio.gather(*(server.why_not() for server in waiting))
        told = {s.address: why for s, why in zip(waiting, reasons, strict=True) if not s.ready}
        for address in self._told.keys() - told.keys():
            log_event("server_ready", server=address)
        for address, why in told.items():
            if self._told.get(address) != why:
                log_event("server_not_ready", level="warning", server=address, why=why)
        self._told = told

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self.all))
