"""The pages and the sources of the repository, for tests that read all of them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FOLDERS", "PAGES", "PRODUCTS", "ROOT", "SOURCES", "name_of"]

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    path
    for folder in (".", "docs", "bench", "demo", "tests/fresh")
    for path in (ROOT / folder).glob("*.md")
)

PRODUCTS = ("runtime", "build", "clients", "load_tests", "serve", "cli")
"""Folders of what is installed."""

FOLDERS = (*PRODUCTS, "model_repository", "bench", "testing", "tests")
"""All folders with sources, except the demo's."""

SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """Return a path as it is in the repository."""
    return str(path.relative_to(ROOT))
