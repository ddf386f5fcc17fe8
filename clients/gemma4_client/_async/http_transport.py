"""HTTP in an event loop."""

# sync: """HTTP, blocking: an event loop in a thread reads the connections. A blocked socket could
# sync: neither be cancelled from another thread nor hold a deadline for the whole answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from gemma4_client.address import Address
from gemma4_client.concurrency.tasks import Loop, Queue
from gemma4_client.errors import CancelledError
from gemma4_client.request import Request
from gemma4_client.results import Delta
from gemma4_client.transport.base import own_cancel
from gemma4_client.transport.forks import Owner
from gemma4_client.transport.http_core import HttpCore, Item, need_httpx

__all__ = ["AsyncHttpTransport"]


class _Call:
    """See :class:`~gemma4_client._async.transport.AsyncCall`. A task reads the connection, so that
    a cancel ends it whoever waits for chunks."""

    def __init__(self, loop: Loop, core: HttpCore, request: Request, timeout: float | None) -> None:
        self._loop = loop
        self._owner = Owner()
        self._items: Queue[Item] = Queue()
        self._task = loop.submit(core.pump(request, timeout, self._items.put_nowait))

    async def __aiter__(self) -> AsyncIterator[Delta]:
        try:
            while (item := await self._items.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            if self._owner.here:
                self._task.cancel()

    def cancel(self) -> None:
        self._task.cancel()
        self._items.put_nowait(CancelledError(own_cancel()))  # for a task that never began

    def __del__(self) -> None:
        if hasattr(self, "_task") and self._owner.here:
            self._loop.drop(self._task)


class AsyncHttpTransport:
    """See :class:`~gemma4_client._async.transport.AsyncTransport`."""

    def __init__(self, address: Address, headers: Mapping[str, str] | None) -> None:
        need_httpx()
        self._loop = Loop("gemma4-http")
        self._core = self._loop.call(lambda: HttpCore(address, headers))

    def start(self, request: Request, timeout: float | None) -> _Call:
        return _Call(self._loop, self._core, request, timeout)

    async def infer(
        self, model: str, inputs: Mapping[str, Any], timeout: float | None
    ) -> dict[str, bytes]:
        return await self._loop.run(self._core.infer(model, inputs, timeout))

    async def ready(self, timeout: float) -> bool:
        return await self._loop.run(self._core.ready(timeout))

    async def close(self) -> None:
        if self._loop.closed:
            return
        await self._loop.cancel_all()  # before the connections go: a reader gets CancelledError
        await self._loop.run(self._core.close())
        await self._loop.close()
