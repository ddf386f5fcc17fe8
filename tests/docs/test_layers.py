"""The layers of the runtime in docs/architecture.md are those of the imports, and none runs
upward."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "runtime" / "gemma4_runtime"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Layers of the runtime")[1].split("\n## ")[0]
LAYERS = {
    folder: re.findall(r"`(\w+)/`", imports)
    for folder, imports in re.findall(r"^\| `(\w+)/` \|[^|]*\|([^|]*)\|$", SECTION, re.M)
}
FOLDERS = sorted(path.parent.name for path in RUNTIME.glob("*/__init__.py"))


def imported_modules(source: str) -> Iterator[str]:
    """Give the full name of every module of the runtime that a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "gemma4_runtime":
            yield from (f"gemma4_runtime.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imported_folders(folder: str) -> set[str]:
    """Return the folders of the runtime that the modules of a folder import from."""
    names = {
        name.split(".")[1]
        for path in (RUNTIME / folder).rglob("*.py")
        for name in imported_modules(path.read_text(encoding="utf-8"))
        if name.startswith("gemma4_runtime.")
    }
    return names & set(FOLDERS) - {folder}


def test_every_folder_has_a_layer() -> None:
    assert sorted([*LAYERS, "needs"]) == FOLDERS
    assert imported_folders("needs") == set()


@pytest.mark.parametrize("folder", LAYERS)
def test_a_folder_imports_what_its_row_names(folder: str) -> None:
    assert imported_folders(folder) == set(LAYERS[folder])


def test_no_import_runs_upward() -> None:
    order = list(LAYERS)
    upward = [
        (folder, used)
        for folder in order
        for used in LAYERS[folder]
        if used not in order[: order.index(folder)]
    ]
    assert not upward
