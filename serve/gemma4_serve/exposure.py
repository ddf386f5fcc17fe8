"""What a Triton server shows to its clients: which endpoints are open, and on which addresses.

Triton has no key or login of its own, and opens every endpoint by default. No client of ours and
none of the usual tools (tritonclient's calls for inference, perf_analyzer, AIPerf, load balancers)
needs to change the log or the traces, to register shared memory or to load models; each of these
has been a way to take over or to end a server. See docs/security.md.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket

from gemma4_serve.errors import ServeError
from gemma4_serve.hosts import plain
from gemma4_serve.install import TritonInstall

__all__ = ["ALLOW_REMOTE", "CLOSED", "check_host", "closing_arguments"]

CLOSED = ("shared-memory", "model-repository", "trace", "logging")
"""Endpoints that no client needs, in Triton's names. Open stay health, metadata, inference,
model-config and statistics (perf_analyzer reads the last two)."""

ALLOW_REMOTE = "--allow-remote-embedded-triton"


def closing_arguments() -> list[str]:
    """Return the arguments of tritonserver that closes :data:`CLOSED` for HTTP and gRPC. Triton
    opens them to who sends a header of a certain value; this value is random and nobody is told."""
    endpoints, secret = ",".join(CLOSED), secrets.token_hex(16)
    return [
        f"--http-restricted-api={endpoints}:gemma4-closed={secret}",
        f"--grpc-restricted-protocol={endpoints}:gemma4-closed={secret}",
    ]


def check_host(install: TritonInstall, host: str, *, allow_remote: bool) -> None:
    """Raise :class:`ServeError` when the embedded server would listen to other machines and nobody
    has said that it may: one request can end it, and some can do worse."""
    if not install.embedded or allow_remote or _is_loopback(host):
        return
    raise ServeError(
        f"--host {host}: other machines could reach the embedded Triton 2.51, which is older than "
        "its security fixes: one request can end it, or worse (docs/security.md). Keep it on "
        "127.0.0.1 with `gemma4 gateway --host ...` in front, or run the production image. "
        f"If only machines that you trust can reach {host}, say {ALLOW_REMOTE}"
    )


def _is_loopback(host: str) -> bool:
    """Return whether every address of ``host`` is this machine's own. An address that cannot be
    resolved is left to the check of the ports, which says so."""
    try:
        found = socket.getaddrinfo(plain(host), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(a[4][0]).is_loopback for a in found)
