"""HTTP in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from weakref import WeakSet

from gemma4_client.address import Address
from gemma4_client.errors import CancelledError
from gemma4_client.request import Request
from gemma4_client.results import Delta
from gemma4_client.transport.base import own_cancel
from gemma4_client.transport.http_core import HttpCore, Item

__all__ = ["AsyncHttpTransport"]


class _Call:
    """See :class:`~gemma4_client.transport.base.AsyncCall`. A task reads the connection, so that a
    cancel ends it whoever waits for chunks."""

    def __init__(self, core: HttpCore, request: Request, timeout: float | None) -> None:
        self._items: asyncio.Queue[Item] = asyncio.Queue()
        self._task = asyncio.create_task(core.pump(request, timeout, self._items.put_nowait))

    async def __aiter__(self) -> AsyncIterator[Delta]:
        try:
            while (item := await self._items.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self._task.cancel()

    def cancel(self) -> None:
        self._task.cancel()
        self._items.put_nowait(CancelledError(own_cancel()))  # for a task that never began

    def __del__(self) -> None:
        if not self._task.done():
            with contextlib.suppress(RuntimeError):  # the loop may be closed
                # The last reference may go in another thread.
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)


class AsyncHttpTransport:
    """See :class:`~gemma4_client.transport.base.AsyncTransport`."""

    def __init__(self, address: Address, headers: Mapping[str, str] | None) -> None:
        self._core = HttpCore(address, headers)
        self._calls: WeakSet[_Call] = WeakSet()

    def start(self, request: Request, timeout: float | None) -> _Call:
        call = _Call(self._core, request, timeout)
        self._calls.add(call)
        return call

    async def infer(
        self, model: str, inputs: Mapping[str, Any], timeout: float | None
    ) -> dict[str, bytes]:
        return await self._core.infer(model, inputs, timeout)

    async def ready(self, timeout: float) -> bool:
        return await self._core.ready(timeout)

    async def close(self) -> None:
        for call in list(self._calls):
            call.cancel()  # before the connections go: a reader gets CancelledError
        await self._core.close()
