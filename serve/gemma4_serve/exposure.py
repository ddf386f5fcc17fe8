"""What a Triton server shows to its clients: which endpoints are open, and on which addresses.

Triton has no key or login of its own, and opens every endpoint by default. No client of ours and
none of the usual tools (tritonclient's calls for inference, perf_analyzer, AIPerf, load balancers)
needs to change the log or the traces, to register shared memory or to load models; each of these
has been a way to take over or to end a server. Configuration and statistics are read by
perf_analyzer, which runs beside the server, and by nothing that runs elsewhere. See
docs/security.md.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Mapping

from gemma4_serve.errors import ServeError
from gemma4_serve.hosts import plain
from gemma4_serve.install import TritonInstall

__all__ = [
    "ALLOW_REMOTE", "CLOSED", "INSPECTION", "check_host", "closing_arguments", "inspected",
    "without_platforms",
]  # fmt: skip

CLOSED = ("shared-memory", "model-repository", "trace", "logging")
"""Endpoints that no client needs, in Triton's names. Open stay health, metadata and inference."""

INSPECTION = ("model-config", "statistics")
"""Endpoints that perf_analyzer reads. They change nothing, and show what others ask for: counts and
times of every model."""

_NO_HTTP_NAME = "gemma4\nclosed"
"""Of a header. A line of an HTTP head has no line break in it."""
_NO_GRPC_NAME = "GEMMA4-CLOSED"
"""Of metadata. HTTP/2 has no capital letters in names (RFC 9113, section 8.2.1)."""

_PLATFORMS = ("AIP_", "SAGEMAKER_")
"""Starts of variables of Google's and Amazon's platforms. With AIP_MODE=PREDICTION Triton opens
one more HTTP port, on every address and with nothing closed."""

ALLOW_REMOTE = "--allow-remote-embedded-triton"


def inspected(host: str, asked: bool | None) -> bool:
    """Return whether :data:`INSPECTION` is open: as ``asked``, else on loopback only."""
    return _is_loopback(host) if asked is None else asked


def without_platforms(env: Mapping[str, str]) -> dict[str, str]:
    """Return ``env`` without what would make Triton serve for another platform too."""
    return {name: value for name, value in env.items() if not name.startswith(_PLATFORMS)}


def closing_arguments(*, inspection: bool) -> list[str]:
    """Return the arguments of tritonserver that close :data:`CLOSED`, and :data:`INSPECTION` unless
    ``inspection``, for HTTP and gRPC. Triton opens them to who sends a header of a certain name and
    value. Everybody on the machine can read these arguments, so the names are such that nobody can
    send them; the value is random as well."""
    closed = CLOSED if inspection else CLOSED + INSPECTION
    endpoints, secret = ",".join(closed), secrets.token_hex(16)
    return [
        f"--http-restricted-api={endpoints}:{_NO_HTTP_NAME}={secret}",
        f"--grpc-restricted-protocol={endpoints}:{_NO_GRPC_NAME}={secret}",
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
