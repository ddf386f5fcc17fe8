"""The host that a server listens on, in the forms that others want."""

from __future__ import annotations

import socket

__all__ = ["grpc_form", "http_form", "in_url", "numeric", "plain", "resolve"]

_HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where this machine reaches a server that listens on every address."""


def plain(host: str) -> str:
    """Return ``host`` without the brackets that an IPv6 address has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def in_url(host: str) -> str:
    """Return what stands in a URL for a server of this machine that listens on ``host``."""
    host = _HERE.get(plain(host), numeric(host))
    return f"[{host}]" if ":" in host else host


def grpc_form(host: str) -> str:
    """Return ``--grpc-address`` of Triton, which puts a colon and the port after it."""
    host = numeric(host)
    return f"[{host}]" if ":" in host else host


def http_form(host: str) -> str:
    """Return ``--http-address`` and ``--metrics-address`` of Triton, for libevhtp. It takes no
    names: it would listen on 255.255.255.255 for one."""
    host = numeric(host)
    return f"ipv6:{host}" if ":" in host else host


def numeric(host: str) -> str:
    """Return the address of ``host``, of IPv4 where a name has both, so that all three services
    listen on the same. One that cannot be resolved comes back as it is."""
    try:
        return resolve(host, 0)[1][0]
    except (OSError, UnicodeError):
        return plain(host)


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Return family and address to bind. Raises :class:`OSError` for a name that has none."""
    found = socket.getaddrinfo(plain(host), port, type=socket.SOCK_STREAM)
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, (str(address[0]), port)
