"""Ports: chosen ones must be free, 0 takes a free one."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import psutil

from gemma4_serve.errors import ServeError
from gemma4_serve.hosts import grpc_form, resolve

__all__ = ["Ports", "claim_ports"]


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports of Triton's three services, and of the supervisor's own; None: it has none."""

    http: int
    grpc: int
    metrics: int
    health: int | None = None


def claim_ports(host: str, wanted: Ports, *, http_host: str = "") -> Ports:
    """Replace zeros by free ports. ``http_host`` empty: as ``host``. Raises :class:`ServeError` for
    a port in use or used twice."""
    chosen: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name in ("http", "grpc", "metrics", "health"):
            port: int | None = getattr(wanted, name)
            if port is None:
                continue
            try:
                on = http_host or host if name == "http" else host
                family, address = resolve(on, port)
                probe = socket.socket(family, socket.SOCK_STREAM)
                held.append(probe)
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
            except (OSError, OverflowError, UnicodeError) as error:
                reason = f"{getattr(error, 'strerror', None) or error}{_holder(port)}"
                raise ServeError(
                    f"--{name}-port {port}: cannot listen on {grpc_form(on)}:{port}: {reason}; "
                    "stop the other server, choose another port, or 0 for any free one"
                ) from None
            chosen[name] = probe.getsockname()[1]
    finally:
        for probe in held:
            probe.close()
    return Ports(**chosen)


def _holder(port: int) -> str:
    """Say which process listens on ``port``, as far as the system shows it to this user."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or connection.pid is None:
                continue
            if connection.laddr and connection.laddr.port == port:
                process = psutil.Process(connection.pid)
                started = " ".join(process.cmdline())[:120]
                return f" (process {process.pid} has it: {started})"
    except (psutil.Error, OSError):
        pass
    return ""
