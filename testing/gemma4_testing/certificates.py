"""Certificates of an authority that only the test trusts."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import trustme
from gemma4_gateway.settings import TlsFiles

__all__ = ["Authority"]


class Authority:
    """``folder`` gets ``ca.pem``, and ``NAME.pem`` and ``NAME.key`` of what is issued."""

    def __init__(self, folder: Path, parent: Authority | None = None) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True, parents=True)
        self.ca: Any = trustme.CA(parent_cert=parent.ca if parent else None)
        self.ca.cert_pem.write_to_path(folder / "ca.pem")

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def issue(
        self, name: str = "server", *, days: float = 30, begins: float = -1, names: str = ""
    ) -> TlsFiles:
        """Write a certificate for 127.0.0.1 and localhost (or ``names``) that ends in ``days`` and
        began ``-begins`` days ago, and its key."""
        now = datetime.now(timezone.utc)
        made = self.ca.issue_cert(
            *(names.split() or ("127.0.0.1", "localhost")),
            common_name=name,
            not_before=now + timedelta(days=min(begins, days - 1)),
            not_after=now + timedelta(days=days),
        )
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(key)
        return TlsFiles(cert, key)

    def client(self, identity: TlsFiles | None = None) -> ssl.SSLContext:
        """Return a client's context that trusts this authority, and shows ``identity``."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if identity is not None:
            context.load_cert_chain(identity.certfile, identity.keyfile)
        return context
