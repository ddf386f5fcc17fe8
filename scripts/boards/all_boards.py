"""The dashboards, and the files that have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from boards.broke import BROKE
from boards.cost import COST
from boards.grafana import document
from boards.limits import LIMITS
from boards.users import USERS

__all__ = ["BOARDS", "FOLDERS", "files", "stale", "write"]

BOARDS = (USERS, LIMITS, BROKE, COST)
_ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    _ROOT / "deploy" / "monitoring" / "grafana" / "dashboards",
    _ROOT / "deploy" / "helm" / "gemma4-triton" / "dashboards",
)
"""Compose mounts the first. Helm reads no file outside its chart, so the second is a copy."""


def files() -> Iterator[tuple[Path, str]]:
    """Path and text of each file."""
    for board in BOARDS:
        text = json.dumps(document(board, BOARDS), indent=1) + "\n"
        for folder in FOLDERS:
            yield folder / f"{board.uid.removeprefix('gemma4-')}.json", text


def write() -> None:
    """Write every file, and remove those of boards that are no more."""
    made = dict(files())
    for folder in FOLDERS:
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.json"):
            if old not in made:
                old.unlink()
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")


def stale() -> list[Path]:
    """Return the files that are missing, differ, or belong to no board."""
    made = dict(files())
    wrong = [p for p, text in made.items() if not p.exists() or p.read_text("utf-8") != text]
    return wrong + [p for folder in FOLDERS for p in folder.glob("*.json") if p not in made]
