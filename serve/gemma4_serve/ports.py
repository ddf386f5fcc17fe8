"""Ports: chosen ones must be free, 0 takes a free one."""

from __future__ import annotations

import errno
import random
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

from gemma4_serve.errors import ServeError
from gemma4_serve.hosts import grpc_form, resolve

__all__ = ["Ports", "claim_ports", "free_port"]

_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""The ports that Linux gives to connections that this machine opens, for both versions of IP."""
_LOWEST = 10_000
"""Below it are the ports of well-known services."""
_TRIES = 100
"""Ports that are tried before any free one is taken; hardly a machine has so many in use."""


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports of Triton's three services, and of the supervisor's own; None: it has none."""

    http: int
    grpc: int
    metrics: int
    health: int | None = None


def claim_ports(host: str, wanted: Ports, *, http_host: str = "") -> Ports:
    """Replace zeros by ports as of :func:`free_port`. ``http_host`` empty: as ``host``. Raises
    :class:`ServeError` for a port in use or used twice."""
    chosen: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name in ("http", "grpc", "metrics", "health"):
            port: int | None = getattr(wanted, name)
            if port is None:
                continue
            try:
                on = http_host or host if name == "http" else host
                probe = _bound(on, port) if port else _free(on)
                held.append(probe)
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


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody has, for a server that is yet to listen there. Where there is one,
    it is one that the system gives to no connection of its own accord: until the server listens,
    any connection that this machine opens could take another. Raises :class:`OSError` for a
    host that is not this machine's."""
    with _free(host) as found:
        port: int = found.getsockname()[1]
        return port


def _free(host: str) -> socket.socket:
    for port in _quiet_ports():
        try:
            return _bound(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return _bound(host, 0)


def _quiet_ports() -> list[int]:
    """Return some ports below those of outgoing connections, drawn by chance, since another server
    may look for one at the same time. None where the system does not say which those are, or
    leaves too few."""
    try:
        above, _ = map(int, _OUTGOING.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return []
    return random.sample(range(_LOWEST, above), _TRIES) if above - _LOWEST >= _TRIES else []


def _bound(host: str, port: int) -> socket.socket:
    family, address = resolve(host, port)
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except BaseException:
        found.close()
        raise
    return found


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
