"""The folders of this program, all of them in the checkout's cache."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["CACHE", "HERE", "ROOT", "SCRIPTS", "clean_environment", "folder_of"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCRIPTS = HERE / "clients"
CACHE = Path(os.environ.get("CLIENTS_CACHE", ROOT / ".cache" / "clients"))


def folder_of(family: str) -> Path:
    """Where a family's packages are installed."""
    return CACHE / "installed" / family


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the caller's but what finds programs: settings of a client would change it."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return kept | {"HOME": str(home), "TMPDIR": str(home), "NO_PROXY": "*"} | more
