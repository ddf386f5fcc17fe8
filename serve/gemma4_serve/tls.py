"""TLS of Triton's gRPC service. Triton has none for HTTP and metrics.

Triton reads its files once, so a renewed certificate needs another start; :class:`Renewals` notices
that one is due.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.logs.events import log_event

from gemma4_serve.errors import ServeError
from gemma4_serve.install import TritonInstall

__all__ = ["GrpcTls", "Renewals", "check_tls", "tls_arguments"]

_LOOK_S = 5.0
"""Seconds between two looks at the files."""


@dataclass(frozen=True, slots=True)
class GrpcTls:
    """PEM files: the server's certificate and those that issued it, its key, and the authorities of
    clients, whom it then asks for a certificate."""

    certfile: Path
    keyfile: Path
    ca_certs: Path | None = None

    def files(self) -> tuple[Path, ...]:
        """Return all of them."""
        return tuple(f for f in (self.certfile, self.keyfile, self.ca_certs) if f is not None)


def check_tls(certfile: Path | None, keyfile: Path | None, ca_certs: Path | None) -> GrpcTls | None:
    """Return what the options say together; None without any. Raises :class:`ServeError` for one
    that would have no effect, and for files that Triton could not use, which it says in no word."""
    if certfile is None:
        for option, path in (("keyfile", keyfile), ("ca-certs", ca_certs)):
            if path is not None:
                raise ServeError(f"--ssl-{option} {path}: needs --ssl-certfile; give it too")
        return None
    tls = GrpcTls(certfile, keyfile or certfile, ca_certs)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, or OpenSSL would ask for one in the terminal.
        context.load_cert_chain(tls.certfile, tls.keyfile, password="")
    except OSError as error:
        raise ServeError(
            f"--ssl-certfile {certfile}, --ssl-keyfile {tls.keyfile}: {error.strerror or error}; "
            "give PEM files that this user may read, a key that belongs to the certificate, and no "
            "passphrase"
        ) from None
    if ca_certs is not None:
        try:
            context.load_verify_locations(ca_certs)
        except OSError as error:
            raise ServeError(
                f"--ssl-ca-certs {ca_certs}: {error.strerror or error}; give a PEM file with the "
                "authorities that issue the clients' certificates"
            ) from None
    return tls


def tls_arguments(tls: GrpcTls | None, install: TritonInstall) -> list[str]:
    """Return the arguments of tritonserver for ``tls``."""
    if tls is None:
        return []
    arguments = [
        f"--grpc-use-ssl{'-mutual' if tls.ca_certs else ''}=true",
        f"--grpc-server-cert={install.path(tls.certfile.absolute())}",
        f"--grpc-server-key={install.path(tls.keyfile.absolute())}",
    ]
    if tls.ca_certs:
        arguments.append(f"--grpc-root-cert={install.path(tls.ca_certs.absolute())}")
    return arguments


class Renewals:
    """Says once of each change that the running server has the former files."""

    def __init__(self, tls: GrpcTls | None) -> None:
        self._tls = tls
        self._seen = _digest(tls)
        self._next = 0.0

    def look(self, now: float) -> None:
        """Look at the files, some seconds after the last time. ``now``: :func:`time.monotonic`."""
        if self._tls is None or now < self._next:
            return
        self._next = now + _LOOK_S
        found = _digest(self._tls)
        if found == self._seen:
            return
        self._seen = found
        log_event(
            "tls_certificate_stale", level="warning", certfile=str(self._tls.certfile),
            cause="a file of TLS has changed, and Triton reads them at its start only: restart "
            "this server; with two, one after the other",
        )  # fmt: skip


def _digest(tls: GrpcTls | None) -> str:
    whole = hashlib.sha256()
    for path in () if tls is None else tls.files():
        try:
            whole.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            whole.update(str(error).encode())
    return whole.hexdigest()
