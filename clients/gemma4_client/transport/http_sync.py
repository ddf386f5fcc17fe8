"""HTTP, blocking: an event loop in a thread reads the connections. A blocked socket could neither
be cancelled from another thread nor hold a deadline for the whole answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from queue import SimpleQueue
from typing import Any

from gemma4_client.address import Address
from gemma4_client.errors import CancelledError
from gemma4_client.request import Request
from gemma4_client.results import Delta
from gemma4_client.transport.base import own_cancel
from gemma4_client.transport.http_core import HttpCore, Item, need_httpx
from gemma4_client.transport.loop_thread import LoopThread

__all__ = ["HttpTransport"]


class _Call:
    """See :class:`~gemma4_client.transport.base.Call`."""

    def __init__(
        self, loop: LoopThread, core: HttpCore, request: Request, timeout: float | None
    ) -> None:
        self._items: SimpleQueue[Item] = SimpleQueue()
        self._future = loop.submit(core.pump(request, timeout, self._items.put))

    def __iter__(self) -> Iterator[Delta]:
        try:
            while (item := self._items.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self._future.cancel()

    def cancel(self) -> None:
        self._future.cancel()
        self._items.put(CancelledError(own_cancel()))  # a task that never began delivers nothing

    def __del__(self) -> None:
        if hasattr(self, "_future"):
            self._future.cancel()


class HttpTransport:
    """See :class:`~gemma4_client.transport.base.Transport`."""

    def __init__(self, address: Address, headers: Mapping[str, str] | None) -> None:
        need_httpx()
        self._loop = LoopThread("gemma4-http")

        async def make() -> HttpCore:
            return HttpCore(address, headers)

        self._core = self._loop.submit(make()).result()

    def start(self, request: Request, timeout: float | None) -> _Call:
        return _Call(self._loop, self._core, request, timeout)

    def infer(
        self, model: str, inputs: Mapping[str, Any], timeout: float | None
    ) -> dict[str, bytes]:
        return self._loop.submit(self._core.infer(model, inputs, timeout)).result()

    def ready(self, timeout: float) -> bool:
        return self._loop.submit(self._core.ready(timeout)).result()

    def close(self) -> None:
        if self._loop.closed:
            return
        self._loop.cancel_all()  # before the connections go: a reader gets CancelledError
        self._loop.submit(self._core.close()).result()
        self._loop.close()
