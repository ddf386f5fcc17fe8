"""Servers that break: one dies of every request, one is not there. Real sockets."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gemma4_serve.ports import free_port

__all__ = ["DyingServer", "closed_port", "dying_server"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
_SETTINGS_ACK = b"\0\0\0\4\1\0\0\0\0"
_DATA, _HEADERS, _END_STREAM = 0, 1, 1


class DyingServer:
    """``requests`` counts whole requests: each one resets its connection without an answer."""

    def __init__(self, protocol: str, listener: socket.socket) -> None:
        self.requests = 0
        self._listener = listener
        self._serve = self._grpc if protocol == "grpc" else self._http
        self._open: list[socket.socket] = []
        self.url = f"{protocol}://127.0.0.1:{listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        try:
            if self._serve(connection):
                self.requests += 1
        except (OSError, EOFError):
            pass
        # SO_LINGER of 0: the peer sees a reset, as of a process that was killed.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def _grpc(self, connection: socket.socket) -> bool:
        """True when a whole request has come."""
        _exactly(connection, len(_PREFACE))
        connection.sendall(_SETTINGS)
        asked = False
        while True:
            head = _exactly(connection, 9)
            kind, flags = head[3], head[4]
            _exactly(connection, int.from_bytes(head[:3], "big"))
            if kind == 4 and not flags & 1:
                connection.sendall(_SETTINGS_ACK)
            asked |= kind == _HEADERS
            if asked and kind in (_DATA, _HEADERS) and flags & _END_STREAM:
                return True

    def _http(self, connection: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            head += _exactly(connection, 1)
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        _exactly(connection, length)
        return True

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


@contextmanager
def dying_server(protocol: str, port: int = 0) -> Iterator[DyingServer]:
    """On ``port``; 0 takes a free one."""
    listener = socket.create_server(("127.0.0.1", port))
    server = DyingServer(protocol, listener)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port where nobody listens, kept from others."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", free_port()))
        yield sock.getsockname()[1]
