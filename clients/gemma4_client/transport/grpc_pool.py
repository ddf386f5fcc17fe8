"""Connections to one gRPC server: as many as the streams need."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

from gemma4_client.transport.forks import Owner, check_grpc, register
from gemma4_client.transport.grpc_wire import STREAM_METHOD

__all__ = ["STREAMS_PER_CONNECTION", "Pool"]

STREAMS_PER_CONNECTION = 50
"""Triton's gRPC server takes 100 streams on one connection; the rest would wait unseen."""
_MOST_CONNECTIONS = 64
"""Connections to one server, at most."""

C = TypeVar("C", bound=Any)
"""grpc.Channel or grpc.aio.Channel."""


class _Connection(Generic[C]):
    def __init__(self, channel: C) -> None:
        self.channel = channel
        self.streams = 0
        self.infer = channel.unary_stream(**STREAM_METHOD)


class Pool(Generic[C]):
    """``connect`` makes a channel; the first one is made at once. ``when_over`` has a function
    called when a call is over, without keeping the call alive. ``loop`` is True for grpc.aio.
    Thread-safe. In a forked process, it raises :class:`RuntimeError` where gRPC cannot work."""

    def __init__(
        self,
        connect: Callable[[], C],
        when_over: Callable[[Any, Callable[[], None]], object],
        *,
        loop: bool = False,
    ) -> None:
        check_grpc(loop=loop)
        self.owner = Owner()
        self.loop = loop
        self._connect = connect
        self._when_over = when_over
        self._lock = Lock()
        self._connections: list[_Connection[C]] = [_Connection(connect())]
        register(self)

    @property
    def first(self) -> C:
        """For what is no answer."""
        return self._connections[0].channel

    @property
    def channels(self) -> list[C]:
        return [connection.channel for connection in self._connections]

    @property
    def streams(self) -> int:
        """Open ones."""
        return sum(connection.streams for connection in self._connections)

    def start(self, message: Any, **options: Any) -> Any:
        """Start a stream on the least used connection; a new one when all have their share."""
        self.check()
        with self._lock:
            connection = min(self._connections, key=lambda c: c.streams)
            full = connection.streams >= STREAMS_PER_CONNECTION
            if full and len(self._connections) < _MOST_CONNECTIONS:
                connection = _Connection(self._connect())
                self._connections.append(connection)
            connection.streams += 1
        call = connection.infer(message, **options)
        self._when_over(call, lambda: self._ended(connection))
        return call

    def check(self) -> None:
        """Raise :class:`RuntimeError` in a forked process: an inherited connection works there at
        times only."""
        if not self.owner.here:
            check_grpc(loop=self.loop)
            self.owner.check("client")

    def _ended(self, connection: _Connection[C]) -> None:
        with self._lock:
            connection.streams -= 1
