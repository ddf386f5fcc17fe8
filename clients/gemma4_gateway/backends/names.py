"""The name of a service whose addresses are its back ends."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass

__all__ = ["SCHEME", "DnsName", "parse_name", "resolve"]

SCHEME = "dns:///"
"""As gRPC writes it; two slashes are taken as well."""


@dataclass(frozen=True, slots=True)
class DnsName:
    """``host`` has one address for each back end, all on ``port``."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{SCHEME}{self.host}:{self.port}"


def parse_name(target: str) -> DnsName | None:
    """``dns:///host:port``; None for a target that does not begin with ``dns:``. Raises
    :class:`ValueError`."""
    if not target.startswith("dns:"):
        return None
    rest = target.removeprefix("dns:")
    for slashes in ("///", "//"):
        rest = rest.removeprefix(slashes)
    host, _, port = rest.rpartition(":")
    try:
        host.encode("idna")
        valid = bool(host) and not set(host) & set("/:[]?#@, ")
        valid = valid and bool(re.fullmatch("[0-9]{1,5}", port)) and 0 < int(port) < 65536
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("must be dns:///NAME:PORT, such as dns:///triton-headless:8001")
    return DnsName(host, int(port))


async def resolve(name: DnsName) -> list[str]:
    """``host:port`` of each address, by the resolver of the system. A pod of a dual-stack service
    has an address of each kind, so IPv6 addresses count only where there is no IPv4 address.
    Raises :class:`OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(
        name.host, name.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    v4 = {str(address[0]) for family, *_, address in found if family == socket.AF_INET}
    v6 = {f"[{address[0]}]" for family, *_, address in found if family == socket.AF_INET6}
    return [f"{address}:{name.port}" for address in sorted(v4 or v6)]
