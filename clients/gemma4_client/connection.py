"""The connection of a client: by which protocol, and from when to when."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gemma4_client._async.transport import AsyncTransport
from gemma4_client._sync.transport import Transport
from gemma4_client.address import Address
from gemma4_client.transport.forks import Owner
from gemma4_client.transport.headers import check_headers

__all__ = ["AsyncConnection", "Connection"]

Headers = Mapping[str, str] | None


def _connect(address: Address, headers: Headers) -> Transport:
    if address.protocol == "http":
        from gemma4_client._sync.http_transport import HttpTransport

        return HttpTransport(address, headers)
    from gemma4_client._sync.grpc_transport import GrpcTransport

    return GrpcTransport(address, headers)


def _connect_async(address: Address, headers: Headers) -> AsyncTransport:
    if address.protocol == "http":
        from gemma4_client._async.http_transport import AsyncHttpTransport

        return AsyncHttpTransport(address, headers)
    from gemma4_client.transport.grpc_feeding import FeedingGrpcTransport

    return FeedingGrpcTransport(address, headers)


class Connection:
    """Made at once; over HTTP, anew in a forked process. Thread-safe."""

    def __init__(self, address: Address, headers: Headers) -> None:
        check_headers(headers)
        self._address = address
        self._headers = headers
        self._owner = Owner()
        self._transport = _connect(address, headers)
        self._inherited: list[Transport] = []  # kept, so that nothing of the parent's is ended
        self._closed = False

    @property
    def transport(self) -> Transport:
        """Raises :class:`RuntimeError` after :meth:`close`."""
        if self._closed:
            raise RuntimeError("this client is closed")
        if self._address.protocol == "http" and not self._owner.here:
            self._owner = Owner()
            self._inherited.append(self._transport)
            self._transport = _connect(self._address, self._headers)
        return self._transport

    def close(self) -> None:
        self._closed = True
        if self._owner.here:
            self._transport.close()


class AsyncConnection:
    """Made when it is first used; it belongs to the event loop of that moment."""

    def __init__(self, address: Address, headers: Headers) -> None:
        check_headers(headers)
        if address.protocol == "http":
            from gemma4_client.transport.http_core import need_httpx

            need_httpx()
        self._address = address
        self._headers = headers
        self._transport: AsyncTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def transport(self) -> AsyncTransport:
        """Raises :class:`RuntimeError` after :meth:`close`, outside a loop and in another one."""
        loop = asyncio.get_running_loop()
        if self._closed:
            raise RuntimeError("this client is closed")
        if self._transport is None:
            self._loop = loop
            self._transport = _connect_async(self._address, self._headers)
        if self._loop is not loop:
            raise RuntimeError("this AsyncClient belongs to another event loop; make one in each")
        return self._transport

    async def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            await self._transport.close()
