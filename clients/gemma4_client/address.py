"""The address of a server. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from gemma4_client.tls import TLS

__all__ = ["Address", "Protocol", "is_loopback", "parse_address", "without_user"]

Protocol = Literal["grpc", "http"]
_SCHEMES: dict[str, tuple[Protocol, bool]] = {
    "grpc": ("grpc", False),
    "grpcs": ("grpc", True),
    "http": ("http", False),
    "https": ("http", True),
}
_PORTS: dict[Protocol, int] = {"grpc": 8001, "http": 8000}


@dataclass(frozen=True, slots=True)
class Address:
    """``path`` is what a proxy puts before Triton's own paths (HTTP only)."""

    protocol: Protocol
    target: str
    tls: TLS | None
    path: str = ""

    @property
    def local(self) -> bool:
        """Whether it is on this machine, so that no proxy of the environment is asked for it."""
        return is_loopback(urlsplit(f"//{self.target}").hostname or "")

    @property
    def http_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.target}{self.path}"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's loopback device."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def without_user(url: str) -> str:
    """Return an address for a message: nothing before an @, where a password may be."""
    _, user, rest = url.rpartition("@")
    return f"...@{rest}" if user else url


def parse_address(url: str, protocol: Protocol | None = None, tls: TLS | None = None) -> Address:
    """Parse ``host:port`` (gRPC unless ``protocol`` says http), or with grpc://, grpcs://, http://
    or https:// before it. A port that is left out is 8001 on gRPC, 8000 on HTTP, 443 with TLS.
    Raises :class:`ValueError`, which never has a password in it."""
    if protocol not in (None, "grpc", "http"):
        raise ValueError(f"protocol={protocol!r} must be grpc or http")
    if (shown := without_user(url)) != url:
        raise ValueError(f"url={shown!r} must be a host and a port, without a user or password")
    try:
        parts = urlsplit(url if "://" in url else f"{protocol or 'grpc'}://{url}")
    except ValueError as error:
        raise ValueError(f"url={url!r}: {error}") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"url={url!r}: use host:port, grpc://, grpcs://, http:// or https://")
    found, secure = _SCHEMES[parts.scheme]
    if protocol not in (None, found):
        raise ValueError(f"url={url!r} is {found}, but protocol={protocol!r}")
    host, port = _host_and_port(url, parts)
    path = parts.path.rstrip("/")
    if path and found == "grpc":
        raise ValueError(f"url={url!r} must be a host and a port; only HTTP has a path")
    if "://" in url and not secure and tls is not None:
        raise ValueError(f"url={url!r} is not encrypted, but tls is given; use {parts.scheme}s://")
    if tls is None and secure:
        tls = TLS()
    host = f"[{host}]" if ":" in host else host
    return Address(found, f"{host}:{port or (443 if tls else _PORTS[found])}", tls, path)


def _host_and_port(url: str, parts: SplitResult) -> tuple[str, int | None]:
    if parts.netloc.count(":") > 1 and "[" not in parts.netloc:
        raise ValueError(f"url={url!r}: put an IPv6 address into brackets, as in [::1]:8001")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"url={url!r}: {error}") from None
    if port == 0:
        raise ValueError(f"url={url!r}: port 0 is no server's; give the port that it listens on")
    if not host:
        raise ValueError(f"url={url!r} must be a host and a port")
    if "?" in url or "#" in url:
        raise ValueError(f"url={url!r} must be a host and a port, without ? or #")
    return host, port
