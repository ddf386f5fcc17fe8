"""What a gateway is told at its start."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gemma4_client import TLS
from gemma4_client.address import without_user

from gemma4_gateway.backends.link import check_tls_files
from gemma4_gateway.backends.names import parse_name
from gemma4_gateway.fair.limits import QueueLimits

__all__ = [
    "KeySource",
    "Limits",
    "Settings",
    "SettingsError",
    "StoreOptions",
    "TlsFiles",
    "check_backend",
    "check_backend_tls",
    "check_model_names",
    "check_origins",
    "check_store",
    "check_tls",
    "check_workers",
]

_MIB = 1024 * 1024
_MOST_NAME = 256
"""Characters of the name of a model, as in ``model`` of a request."""
_HOST = re.compile(r"[^/?#@,\s]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@,\sA-Z]+")
"""As browsers send it: no path, not even a slash at the end, and no capitals."""


class SettingsError(ValueError):
    """A flag or file is wrong; the message says which, and the way out."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_body`` bytes of a request; ``max_running`` requests at once, the rest gets 429;
    ``timeout`` seconds for one answer. The other three hold for every API key that does not have
    its own; 0 is no limit."""

    max_body: int = 4 * _MIB
    max_running: int = 1024
    timeout: float = 600.0
    key_running: int = 0
    key_requests_per_minute: int = 0
    key_tokens_per_minute: int = 0


@dataclass(frozen=True, slots=True)
class KeySource:
    """API keys: a file of hashes, keys themselves (from the environment), or neither: no key is
    asked for."""

    file: Path | None = None
    plain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. ``certfile``: the server's certificate, then those that issued it; its key too,
    without ``keyfile``. ``ca_certs``: the authorities of clients. ``cert_reqs``: CERT_REQUIRED asks
    every client for a certificate, CERT_OPTIONAL every one that wants more than /health."""

    certfile: Path
    keyfile: Path | None = None
    ca_certs: Path | None = None
    cert_reqs: ssl.VerifyMode = ssl.CERT_NONE


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Where responses are stored, and how many responses, bytes of text, and seconds since their
    last use at most."""

    path: Path
    responses: int = 100_000
    bytes: int = 1024 * _MIB
    seconds: float = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Settings:
    """``backends``: ``host:port`` of gRPC services, or ``dns:///name:port``, which is looked up
    every ``dns_interval`` seconds. ``model_names``: the names the model is served under; empty: the
    engine's own. ``cors_origins``: empty: no CORS headers. ``grace``: seconds
    that running answers get at the end. ``queue``: what may wait for the back ends.
    ``drain_delay``: seconds that it stays up, not ready,
    after SIGTERM, for a load balancer to notice. ``sse_keep_alive``: seconds without an event of a
    stream after which a comment is sent; 0: none. ``webui``: browsers get the chat page at `/`.
    ``tls``: None is HTTP without TLS. ``drop_unsupported``: of /v1/responses, leave out tools that
    are no functions and ``text.verbosity`` rather than refuse them. ``store``: None keeps no
    responses. ``backend_tls``: None speaks to back ends in plain text.
    ``limits_redis``: URL of the Redis by which gateways share the limits of keys; a secret.
    ``workers``: processes that serve."""

    backends: tuple[str, ...] = ("127.0.0.1:8001",)
    host: str = "127.0.0.1"
    port: int = 8080
    model_names: tuple[str, ...] = ()
    keys: KeySource = field(default_factory=KeySource)
    limits: Limits = field(default_factory=Limits)
    cors_origins: tuple[str, ...] = ()
    grace: float = 30.0
    drain_delay: float = 0.0
    health_interval: float = 1.0
    dns_interval: float = 5.0
    imbalance: int = 8
    queue: QueueLimits = field(default_factory=QueueLimits)
    sse_keep_alive: float = 15.0
    webui: bool = True
    tls: TlsFiles | None = None
    drop_unsupported: bool = False
    store: StoreOptions | None = None
    backend_tls: TLS | None = None
    limits_redis: str | None = field(default=None, repr=False)
    workers: int = 1


def check_tls(
    certfile: Path | None, keyfile: Path | None, ca_certs: Path | None, cert_reqs: int | None
) -> TlsFiles | None:
    """Return what the options of TLS say together; None without any. ``cert_reqs`` None: 2 with
    ``ca_certs``, else 0. Raises :class:`SettingsError` for one that would have no effect."""
    if certfile is None:
        given = {"keyfile": keyfile, "ca-certs": ca_certs, "cert-reqs": cert_reqs}
        for name, value in given.items():
            if value is not None:
                raise SettingsError(f"--ssl-{name} {value}: needs --ssl-certfile; give it too")
        return None
    if cert_reqs is None:
        cert_reqs = ssl.CERT_NONE if ca_certs is None else ssl.CERT_REQUIRED
    if cert_reqs and ca_certs is None:
        raise SettingsError(
            f"--ssl-cert-reqs {cert_reqs}: needs --ssl-ca-certs, the authorities that issue the "
            "clients' certificates; give it too"
        )
    if ca_certs is not None and not cert_reqs:
        raise SettingsError(
            f"--ssl-ca-certs {ca_certs}: --ssl-cert-reqs 0 asks no client for a certificate; set "
            "it to 2, or leave one of the two out"
        )
    return TlsFiles(certfile, keyfile, ca_certs, ssl.VerifyMode(cert_reqs))


def check_backend_tls(
    ca_certs: Path | None, certfile: Path | None, keyfile: Path | None, name: str | None
) -> TLS | None:
    """Return what the options of TLS to the back ends say together; None without any. Raises
    :class:`SettingsError` for one that would have no effect, and for files that cannot be used."""
    if ca_certs is None:
        for option, value in (("certfile", certfile), ("keyfile", keyfile), ("name", name)):
            if value is not None:
                raise SettingsError(
                    f"--backend-ssl-{option} {value}: needs --backend-ssl-ca-certs, the "
                    "authorities of the back ends' certificates; give it too"
                )
        return None
    if keyfile is not None and certfile is None:
        raise SettingsError(
            f"--backend-ssl-keyfile {keyfile}: needs --backend-ssl-certfile; give it too"
        )
    key = keyfile or certfile
    try:
        tls = TLS(ca_certs, certfile, key, server_name=name)
        check_tls_files(tls)
    except (OSError, ValueError) as error:
        given = f"--backend-ssl-ca-certs {ca_certs}"
        given += f", --backend-ssl-certfile {certfile}" if certfile else ""
        given += f", --backend-ssl-keyfile {keyfile}" if keyfile else ""
        raise SettingsError(
            f"{given}: {error}; give PEM files that this user may read, a key that belongs to "
            "its certificate, and no passphrase"
        ) from None
    return tls


def check_store(
    path: Path | None, responses: int | None, mib: int | None, days: float | None
) -> StoreOptions | None:
    """Return what the options of the store say together; None without any. None is the default.
    Raises :class:`SettingsError` for one that would have no effect."""
    given = {"count": responses, "mib": mib, "days": days}
    if path is None:
        for name, value in given.items():
            if value is not None:
                flag = f"--response-store-{name} {value}"
                raise SettingsError(f"{flag}: needs --response-store, the file; give it too")
        return None
    options = StoreOptions(path)
    return StoreOptions(
        path,
        options.responses if responses is None else responses,
        options.bytes if mib is None else mib * _MIB,
        options.seconds if days is None else days * 86_400,
    )


def check_model_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, each once. Raises :class:`SettingsError` for one that no client could
    send."""
    for name in names:
        if not name.strip() or name != name.strip() or not name.isprintable():
            raise SettingsError(
                f"--served-model-name {name!r}: must be printable text without spaces around it, "
                "such as gemma-4"
            )
        if len(name) > _MOST_NAME:
            raise SettingsError(
                f"--served-model-name: has {len(name)} characters; at most {_MOST_NAME}"
            )
    return tuple(dict.fromkeys(names))


def check_origins(origins: Sequence[str]) -> tuple[str, ...]:
    """Return the origins, each once. Raises :class:`SettingsError` for one that no browser
    sends."""
    for origin in origins:
        if origin not in ("*", "null") and not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"--cors-origin {origin}: must be scheme://host or scheme://host:port in small "
                "letters, without a slash at the end, such as https://app.example.com; * for all"
            )
    return tuple(dict.fromkeys(origins))


def check_backend(address: str) -> str:
    """Return ``host:port`` or ``dns:///name:port`` itself. Raises :class:`SettingsError`."""
    if (shown := without_user(address)) != address:
        raise SettingsError(
            f"--backend {shown}: must be host:port of Triton's gRPC service, or dns:///NAME:PORT, "
            "without a user or password"
        )
    try:
        if (name := parse_name(address)) is not None:
            return str(name)
    except ValueError as error:
        raise SettingsError(f"--backend {address}: {error}") from None
    host, _, port = address.rpartition(":")
    if "//" in address:
        raise SettingsError(
            f"--backend {address}: is a URL; give host:port of Triton's gRPC service, "
            "or dns:///name:port"
        )
    if ":" in host.strip("[]") and not (host.startswith("[") and host.endswith("]")):
        raise SettingsError(
            f"--backend {address}: put an IPv6 address into brackets, as in [::1]:8001"
        )
    named = _HOST.fullmatch(host) and re.fullmatch("[0-9]{1,5}", port)
    if not named or not 0 < int(port) < 65536:
        raise SettingsError(
            f"--backend {address}: must be host:port of Triton's gRPC service, such as "
            "127.0.0.1:8001"
        )
    return address


def check_workers(workers: int, queue: QueueLimits) -> int:
    """Return the number of workers. Raises :class:`SettingsError` for more than have a part of
    what may wait."""
    for option, whole in (("--queue-length", queue.length), ("--queue-tokens", queue.tokens)):
        if 0 < whole < workers:
            way_out = ", or 0, with which none waits here" if option == "--queue-length" else ""
            raise SettingsError(
                f"{option} {whole}: --workers {workers} have a part of it each; give at least "
                f"{workers}{way_out}"
            )
    return workers
