"""What listens at an address: asked only after something went wrong there, to say it in words."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Literal

__all__ = ["Found", "Kind", "find_out"]

Kind = Literal["nobody", "triton", "grpc", "metrics", "gateway", "http", "unknown"]
"""``triton``: its HTTP service. ``http``: some other server of HTTP. ``unknown``: something that
speaks none of these."""

_TIMEOUT_S = 2.0
"""Seconds for each of a few steps on a connection."""
_MOST = 1 << 20
"""Bytes of an answer that are read."""
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""The preface of HTTP/2 and empty SETTINGS (RFC 9113, 3.4)."""
_SETTINGS = 4
"""The type of the frame that a server of HTTP/2 sends first."""


@dataclass(frozen=True, slots=True)
class Found:
    """What listens, and whether it speaks TLS."""

    kind: Kind
    tls: bool = False


def find_out(host: str, port: int) -> Found:
    """Return what listens there. Never raises; takes some seconds where nothing answers."""
    plain = _kind(host, port, None)
    if plain != "unknown":
        return Found(plain)
    # Whoever it is is not trusted with anything: only its kind is asked for.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with _connect(host, port, context):
            pass
    except ssl.SSLError as error:
        # It asks for a certificate of ours, or refuses the versions that we have.
        return Found("unknown", tls="ALERT" in str(error.reason).upper())
    except OSError:
        return Found("unknown")
    return Found(_kind(host, port, context), tls=True)


def _kind(host: str, port: int, context: ssl.SSLContext | None) -> Kind:
    try:
        _connect(host, port, None).close()
    except OSError:
        return "nobody"
    status = _asked(host, port, _get(host, "/v2"), context)
    if status.startswith(b"HTTP/1."):
        if b'"triton"' in status:
            return "triton"
        metrics = _asked(host, port, _get(host, "/metrics"), context)
        if b"gemma4_gateway_" in metrics:
            return "gateway"
        return "metrics" if b"\n# TYPE " in metrics or b"\n# HELP " in metrics else "http"
    if context is not None:
        context.set_alpn_protocols(["h2"])
    frame = _asked(host, port, _HTTP2, context, first=9)
    return "grpc" if len(frame) >= 4 and frame[3] == _SETTINGS else "unknown"


def _get(host: str, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def _asked(
    host: str, port: int, request: bytes, context: ssl.SSLContext | None, first: int = _MOST
) -> bytes:
    """Return the answer: ``first`` bytes of it, or as much as came."""
    data = b""
    try:
        with _connect(host, port, context) as connection:
            connection.sendall(request)
            while len(data) < first and (more := connection.recv(1 << 16)):
                data += more
    except OSError:
        pass
    return data


def _connect(host: str, port: int, context: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=_TIMEOUT_S)
    if context is None:
        return connection
    try:
        return context.wrap_socket(connection, server_hostname=host)
    except OSError:
        connection.close()
        raise
