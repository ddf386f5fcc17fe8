"""A private authority and a certificate of it, by openssl."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["make"]

_USER = 10001
"""Of the gateway's container."""


def make(folder: Path, name: str) -> None:
    """Write ca.crt, tls.crt and tls.key, for ``name`` and for 127.0.0.1."""
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
    _run(folder, *new, "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.crt")
    _run(folder, *new, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
         "-addext", "basicConstraints=critical,CA:FALSE", "-CA", "ca.crt", "-CAkey", "ca.key",
         "-keyout", "tls.key", "-out", "tls.crt")  # fmt: skip
    (folder / "ca.key").unlink()
    if os.geteuid() == 0:
        os.chown(folder / "tls.key", _USER, _USER)
    else:
        (folder / "tls.key").chmod(0o644)


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
