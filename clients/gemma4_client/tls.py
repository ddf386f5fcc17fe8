"""Encrypted connections. Pure."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

__all__ = ["TLS"]


@dataclass(frozen=True, slots=True)
class TLS:
    """PEM files: ``ca`` instead of the system's authorities; ``cert`` and ``key`` of this client
    when the server asks for them (mTLS). ``server_name`` is the name in the server's certificate,
    when it is not that of the address (gRPC only)."""

    ca: str | Path | None = None
    cert: str | Path | None = None
    key: str | Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("TLS: cert and key go together; give both or neither")
        for name in ("ca", "cert", "key"):
            path = getattr(self, name)
            if path is not None and not Path(path).is_file():
                raise ValueError(f"TLS: {name}={str(path)!r} is no file")

    def grpc_credentials(self) -> Any:
        """Return the credentials for a gRPC channel."""

        def read(path: str | Path | None) -> bytes | None:
            return None if path is None else Path(path).read_bytes()

        return grpc.ssl_channel_credentials(read(self.ca), read(self.key), read(self.cert))

    def grpc_options(self) -> tuple[tuple[str, str], ...]:
        """Return the channel options beside the credentials."""
        if self.server_name is None:
            return ()
        return (("grpc.ssl_target_name_override", self.server_name),)

    def ssl_context(self) -> ssl.SSLContext:
        """Return the context for HTTP. Raises :class:`ValueError` with ``server_name``."""
        if self.server_name is not None:
            raise ValueError(
                f"TLS: server_name={self.server_name!r} works on gRPC only; "
                f"use an address that the certificate names"
            )
        context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        if self.cert is not None:
            context.load_cert_chain(str(self.cert), None if self.key is None else str(self.key))
        return context
