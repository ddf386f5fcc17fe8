"""Private authorities and certificates of them, by openssl."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["make", "make_clients"]

_USER = 10001
"""Of the gateway's container."""


def make(folder: Path, name: str) -> None:
    """Write ca.crt, tls.crt and tls.key, for ``name`` and for 127.0.0.1."""
    _issue(folder, "tls", name, f"subjectAltName=DNS:{name},IP:127.0.0.1")
    if os.geteuid() == 0:
        os.chown(folder / "tls.key", _USER, _USER)
    else:
        (folder / "tls.key").chmod(0o644)


def make_clients(folder: Path) -> None:
    """Write ca.crt, client.crt and client.key, which Prometheus's user reads as well."""
    _issue(folder, "client", "a client", "extendedKeyUsage=clientAuth")
    (folder / "client.key").chmod(0o644)


def _issue(folder: Path, file: str, name: str, extension: str) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
    _run(folder, *new, "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.crt")
    _run(folder, *new, "-subj", f"/CN={name}", "-addext", extension,
         "-addext", "basicConstraints=critical,CA:FALSE", "-CA", "ca.crt", "-CAkey", "ca.key",
         "-keyout", f"{file}.key", "-out", f"{file}.crt")  # fmt: skip
    (folder / "ca.key").unlink()


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
