"""Installs a family's packages, once for each list of versions."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from families import Family
from places import folder_of

__all__ = ["InstallError", "install", "installed", "program"]

INSTALL_S = 900
_STAMP = "installed.json"


class InstallError(Exception):
    """A family could not be installed; the text has the reason."""


def installed(family: Family) -> bool:
    """Return whether exactly these packages were installed to the end."""
    stamp = folder_of(family.name) / _STAMP
    return family.kind == "machine" or (
        stamp.exists() and json.loads(stamp.read_text()) == list(family.packages)
    )


def install(family: Family) -> None:
    """Install what is not installed yet. Raises InstallError."""
    if installed(family):
        return
    folder = folder_of(family.name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if family.kind == "pip":
        _pip_install(folder, family.packages)
    else:
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        _run("npm", "install", "--no-audit", "--no-fund", "--save-exact", *family.packages,
             folder=folder)  # fmt: skip
    (folder / _STAMP).write_text(json.dumps(family.packages))


def program(family: Family, script: Path) -> list[str]:
    """Return the command that runs ``script``. One of Node.js is copied beside its packages, where
    Node.js looks for them."""
    folder = folder_of(family.name)
    if script.suffix == ".mjs":
        for source in script.parent.glob("*.mjs"):
            shutil.copy(source, folder)
        return [str(folder / "node_modules/.bin/node"), str(folder / script.name)]
    if script.suffix == ".java":
        return ["java", str(script)]
    python = folder / "venv/bin/python" if family.kind == "pip" else Path(sys.executable)
    return [str(python), str(script)]


def _pip_install(folder: Path, packages: tuple[str, ...]) -> None:
    """By uv where it is, which takes a fraction of pip's time."""
    python, uv = str(folder / "venv/bin/python"), shutil.which("uv")
    if uv is not None:
        _run(uv, "venv", "--quiet", "--python", sys.executable, "venv", folder=folder)
        _run(uv, "pip", "install", "--quiet", "--python", python, *packages, folder=folder)
        return
    _run(sys.executable, "-m", "venv", "venv", folder=folder)
    _run(python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *packages,
         folder=folder)  # fmt: skip


def _run(*command: str, folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=INSTALL_S, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise InstallError(f"{command[0]}: not found; install it") from None
    except subprocess.TimeoutExpired:
        raise InstallError(f"{command[0]}: took more than {INSTALL_S} s") from None
    if done.returncode:
        raise InstallError(done.stdout.strip()[-2000:] or f"exit status {done.returncode}")
