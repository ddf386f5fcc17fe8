"""The ensemble under further names, for clients that ask for theirs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from gemma4_serve.errors import ServeError

__all__ = ["ALIASES_NAME", "check_aliases", "write_aliases"]

ALIASES_NAME = "aliases"
"""Folder in the run folder: a second model repository."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_ENSEMBLE = "gemma4"
_OWN_NAME = re.compile(rf'^name: "{_ENSEMBLE}"$', re.MULTILINE)


def check_aliases(aliases: Sequence[str], repositories: Sequence[Path]) -> None:
    """Raise :class:`ServeError` for a name that Triton cannot have, or has already by one of
    ``repositories``."""
    for number, alias in enumerate(aliases):
        if not _NAME.match(alias):
            raise ServeError(f"--alias {alias}: use letters, digits, _ - and . (at most 64)")
        if any((repository / alias).exists() for repository in repositories):
            raise ServeError(f"--alias {alias}: is a model of this server; choose another name")
        if alias in aliases[:number]:
            raise ServeError(f"--alias {alias}: is given twice")


def write_aliases(aliases: Sequence[str], repository: Path, run_dir: Path) -> Path | None:
    """Write a repository with an ensemble of the same steps for each of ``aliases``. Return its
    folder; None when there are none."""
    folder = run_dir / ALIASES_NAME
    shutil.rmtree(folder, ignore_errors=True)
    if not aliases:
        return None
    text = (repository / _ENSEMBLE / "config.pbtxt").read_text(encoding="utf-8")
    for alias in aliases:
        (folder / alias / "1").mkdir(parents=True)
        config, named = _OWN_NAME.subn(f'name: "{alias}"', text)
        assert named == 1
        (folder / alias / "config.pbtxt").write_text(config, encoding="utf-8")
    return folder
