"""A wrong port, or a wrong protocol for it: what is there, and what to give instead."""

from __future__ import annotations

from urllib.parse import urlsplit

from gemma4_client.address import parse_address

from gemma4_cli.port_kind import Found, find_out

__all__ = ["wrong_port"]


def wrong_port(url: str) -> str | None:
    """Return what is wrong with ``url`` as the address of a Triton server; None where it is the
    right kind of port. It asks there: call it after something went wrong."""
    try:
        address = parse_address(url)
    except ValueError:
        return None
    parts = urlsplit(f"//{address.target}")
    host, port = parts.hostname or "", parts.port or 0
    return _advice(address.target, host, address.protocol, bool(address.tls), find_out(host, port))


def _advice(target: str, host: str, protocol: str, tls: bool, found: Found) -> str | None:
    secure = "s" if found.tls else ""
    shown = f"[{host}]" if ":" in host else host
    right = {
        "triton": f"--url http{secure}://{target}",
        "grpc": f"--url grpcs://{target}" if found.tls else f"--url {target}",
    }
    if found.kind == "nobody":
        return f"no server at {target}; start one with `gemma4 serve`, or give its --url"
    if found.kind == "gateway":
        return (
            f"{target} is a gateway, for clients of OpenAI's and Anthropic's API (base URL "
            f"http{secure}://{target}/v1, chat page http{secure}://{target}/); give the gRPC port "
            f"of a Triton server behind it, such as --url {shown}:8001"
        )
    if found.kind == "metrics":
        return (
            f"{target} has metrics, for Prometheus; give the gRPC port of that server, such as "
            f"--url {shown}:8001"
        )
    if found.kind == "http":
        return f"{target} is an HTTP server, but not Triton's; give Triton's gRPC port by --url"
    if found.kind == "unknown":
        if found.tls and not tls:
            return f"{target} wants TLS; use --url grpcs://{target} or --url https://{target}"
        return (
            f"{target} is no port of Triton or of a gateway; give the gRPC port by --url, 8001 "
            "unless `gemma4 serve` was told another"
        )
    if (found.kind == "grpc") == (protocol == "grpc") and found.tls == tls:
        return None
    name = {"triton": "Triton's HTTP port", "grpc": "a gRPC port"}[found.kind]
    with_tls = " with TLS" if found.tls else " without TLS" if tls else ""
    return f"{target} is {name}{with_tls}; use {right[found.kind]}"
