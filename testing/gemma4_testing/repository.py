"""The files of the repository, for tests of all of them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FOLDERS", "PAGES", "ROOT", "SOURCES", "name_of"]

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for folder in (".", "docs", "bench", "demo", "tests/fresh", "tests/compose")
    for path in (ROOT / folder).glob("*.md")
)
FOLDERS = [
    "runtime",
    "build",
    "clients",
    "load_tests",
    "serve",
    "cli",
    "model_repository",
    "nvidia_repository",
    "bench",
    "testing",
    "tests",
]
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))
