"""Ports of each kind, by their first bytes: what somebody may give in the place of Triton's."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

__all__ = ["ANSWERS", "grpc_server", "http", "listener"]

ANSWERS: dict[str, dict[bytes, bytes]] = {
    "triton": {b"/v2": b'{"name":"triton","version":"2.51.0"}'},
    "metrics": {b"/metrics": b"# HELP nv_x y\n# TYPE nv_x counter\nnv_x 1\n"},
    "gateway": {b"/metrics": b"# HELP a b\n# TYPE gemma4_gateway_x counter\n"},
    "http": {b"/": b"hello"},
}


@contextmanager
def listener(answer: Any, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that gives ``answer`` to what it reads; None: it closes at once. Yields
    its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                try:
                    connection.settimeout(5)
                    with (
                        tls.wrap_socket(connection, server_side=True) if tls else connection as one
                    ):
                        asked = one.recv(4096)
                        reply = answer(asked) if asked else None
                        if reply:
                            one.sendall(reply)
                except OSError:
                    pass
                finally:
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def http(kind: str) -> Any:
    """Return what a :func:`listener` of this kind of :data:`ANSWERS` answers."""

    def answer(asked: bytes) -> bytes:
        if not asked.startswith(b"GET "):
            return b"HTTP/1.1 400 Bad Request\r\n\r\n"
        body = ANSWERS[kind].get(asked.split()[1])
        status = b"404 Not Found" if body is None else b"200 OK"
        return b"HTTP/1.1 " + status + b"\r\n\r\n" + (body or b"")

    return answer


@contextmanager
def grpc_server(credentials: grpc.ServerCredentials | None = None) -> Iterator[int]:
    """A gRPC server without methods. Yields its port."""
    server = grpc.server(ThreadPoolExecutor(1))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield port
    server.stop(0)
