"""Private authorities and certificates of them, by openssl."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["make", "make_clients", "renew"]

_USER = 10001
"""Of the gateway's container."""


def make(folder: Path, name: str, *, authority: Path | None = None) -> None:
    """Write ca.crt, tls.crt and tls.key, for ``name`` and for 127.0.0.1. The folder ``authority``,
    which must not be there yet, keeps what :func:`renew` needs."""
    key = _authority(folder)
    _issue(folder, "tls", name, key, _server(name))
    _readable(folder / "tls.key")
    if authority is not None:
        authority.mkdir(mode=0o700)
        shutil.move(key, authority / "ca.key")
    else:
        key.unlink()


def renew(folder: Path, name: str, authority: Path, days: int) -> None:
    """Put another key and certificate in their place by renaming; with 0 ``days`` it has ended."""
    _issue(folder, "new", name, authority / "ca.key", _server(name), days=days)
    _readable(folder / "new.key")
    for kind in ("key", "crt"):
        (folder / f"new.{kind}").rename(folder / f"tls.{kind}")


def make_clients(folder: Path) -> None:
    """Write ca.crt, client.crt and client.key, which Prometheus's user reads as well."""
    key = _authority(folder)
    _issue(folder, "client", "a client", key, "extendedKeyUsage=clientAuth")
    (folder / "client.key").chmod(0o644)
    key.unlink()


def _server(name: str) -> str:
    return f"subjectAltName=DNS:{name},IP:127.0.0.1"


def _readable(key: Path) -> None:
    if os.geteuid() == 0:
        os.chown(key, _USER, _USER)
    else:
        key.chmod(0o644)


def _authority(folder: Path) -> Path:
    """Make the folder with ca.crt, and return where its key is."""
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    _run(folder, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
         "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.crt")  # fmt: skip
    return folder / "ca.key"


def _issue(
    folder: Path, file: str, name: str, key: Path, extension: str, *, days: int = 30
) -> None:
    extensions = folder / f"{file}.ext"
    extensions.write_text(f"basicConstraints=critical,CA:FALSE\n{extension}\n")
    _run(folder, "openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
         "-keyout", f"{file}.key", "-out", f"{file}.csr")  # fmt: skip
    _run(folder, "openssl", "x509", "-req", "-days", str(days), "-in", f"{file}.csr",
         "-CA", "ca.crt", "-CAkey", str(key), "-extfile", extensions.name,
         "-out", f"{file}.crt")  # fmt: skip
    extensions.unlink()
    (folder / f"{file}.csr").unlink()


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
