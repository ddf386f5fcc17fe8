"""A wrong port, or a wrong protocol for it: what is there, and what to give instead."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from urllib.parse import urlsplit

from gemma4_client.address import Address, parse_address
from gemma4_client.port_kind import Found, Kind, find_out

__all__ = ["BACKEND", "CHAT", "LOAD", "Option", "wrong_port"]

_NAMES: dict[Kind, str] = {
    "triton": "Triton's HTTP port",
    "grpc": "a gRPC port",
    "gateway": "a gateway",
}


@dataclass(frozen=True, slots=True)
class Option:
    """What an option with an address takes: kinds of ports. ``tls_by``: the option that asks for
    TLS, where the form of the address does not."""

    name: str
    takes: Set[Kind]
    tls_by: str = ""


CHAT = Option("--url", {"grpc", "triton"})
LOAD = Option("--url", {"grpc", "triton", "gateway"})
"""A URL that ends in /v1 is a gateway's, or that of another server of OpenAI's API."""
BACKEND = Option("--backend", {"grpc"}, tls_by="--backend-ssl-ca-certs")


def wrong_port(url: str, option: Option) -> str | None:
    """Return what is wrong with ``url`` as a value of ``option``; None where it is the right kind
    of port. It asks there, for some seconds where nothing answers: call it after something went
    wrong."""
    try:
        address = parse_address(url)
    except ValueError:
        return None
    parts = urlsplit(f"//{address.target}")
    found = find_out(parts.hostname or "", parts.port or 0)
    return _advice(address, found, option)


def _advice(address: Address, found: Found, option: Option) -> str | None:
    target, asked, tls = address.target, _asked(address, option), bool(address.tls)
    usable = not (found.tls and option.tls_by)
    if found.kind in option.takes and usable:
        if found == Found(asked, tls):
            return None
        with_tls = " with TLS" if found.tls else " without TLS" if tls else ""
        return f"{target} is {_NAMES[found.kind]}{with_tls}; use {_right(target, found, option)}"
    give = f"give the gRPC port of a Triton server, such as {_usual(target, option)}"
    if found.kind == "nobody":
        command = "gemma4 gateway" if asked == "gateway" else "gemma4 serve"
        return f"no server at {target}; start one with `{command}`, or give its {option.name}"
    if found.kind == "gateway":
        root = f"http{'s' if found.tls else ''}://{target}/"
        return (
            f"{target} is a gateway, for clients of OpenAI's and Anthropic's API (base URL "
            f"{root}v1, chat page {root}); {give}"
        )
    if found.kind == "metrics":
        return f"{target} has metrics, for Prometheus; {give}"
    if found.kind == "http":
        return None if asked == "gateway" else f"{target} is an HTTP server, not Triton's; {give}"
    if not usable and found.kind in {"unknown", *option.takes}:
        return f"{target} speaks TLS; give {option.tls_by} FILE, the certificates of its authority"
    if found.kind == "unknown" and found.tls and not tls:
        ways = (f"{option.name} {scheme}://{target}" for scheme in ("grpcs", "https"))
        return f"{target} wants TLS; use {' or '.join(ways)}"
    if found.kind == "unknown":
        return f"{target} is no port of Triton or of a gateway; {give}"
    return f"{target} is {_NAMES[found.kind]}; {give}"


def _asked(address: Address, option: Option) -> Kind:
    """Return the kind of port that the form of the address means."""
    if "gateway" in option.takes and address.path.endswith("/v1"):
        return "gateway"
    return "grpc" if address.protocol == "grpc" else "triton"


def _right(target: str, found: Found, option: Option) -> str:
    """Return the option with the form of address that this kind of port needs."""
    secure = "s" if found.tls else ""
    if found.kind == "grpc":
        return f"{option.name} {'grpcs://' if found.tls else ''}{target}"
    return f"{option.name} http{secure}://{target}{'/v1' if found.kind == 'gateway' else ''}"


def _usual(target: str, option: Option) -> str:
    """Return the option with the port that a server on the same machine has unless told another."""
    return f"{option.name} {target.rpartition(':')[0]}:8001"
