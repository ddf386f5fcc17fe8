"""Where helpers of tests are, and what they may be called."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
HELPERS = sorted((ROOT / "testing" / "gemma4_testing").rglob("*.py"))
BENCHES = sorted((ROOT / "bench").glob("*.py"))
SOURCES = ("runtime", "build", "clients", "load_tests", "serve", "cli")
SCRIPTS = (
    "tests/compose/", "tests/dynamo/", "tests/ecosystem/", "tests/gpu_image/", "tests/helm_chart/",
    "tests/monitoring/", "tests/page/", "tests/second_opinion/",
)  # fmt: skip
"""Folders of programs that have an environment of their own, or need more than Python."""
PROGRAMS = {
    "tests/alone.py", "tests/lanes.py", "tests/light.py", "tests/unit.py", "tests/fresh/checks.py",
    "tests/fresh/container.py",
}  # fmt: skip


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_folders_of_tests_hold_tests_only() -> None:
    others = {
        path.relative_to(ROOT).as_posix()
        for path in TESTS
        if not path.name.startswith(("test_", "conftest", "__main__"))
    }
    assert {name for name in others if not name.startswith(SCRIPTS)} == PROGRAMS


@pytest.mark.parametrize("path", TESTS + HELPERS + BENCHES, ids=lambda path: path.stem)
def test_nothing_is_imported_from_a_test(path: Path) -> None:
    folders = {folder.name for folder in (ROOT / "tests").iterdir() if folder.is_dir()}
    folders -= {"dynamo"}  # a package of NVIDIA's has this name too
    for name in imported(path):
        if path.relative_to(ROOT).as_posix().startswith(SCRIPTS) and name.startswith(
            path.parent.name
        ):
            continue
        if (path.parent / f"{name}.py").exists():
            continue
        assert name.split(".")[0] not in folders | {"tests"}, name
        assert not name.rpartition(".")[2].startswith("test_"), name


def test_no_helper_is_named_as_a_package_or_a_standard_module() -> None:
    packages = {
        folder.name
        for source in SOURCES
        for folder in (ROOT / source).rglob("*")
        if (folder / "__init__.py").exists()
    }
    names = {path.stem for path in HELPERS if "doubles" not in path.parts} - {"__init__"}
    assert not names & (packages | set(sys.stdlib_module_names))


def test_the_wheel_has_no_helpers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert not [name for name in [*wheel["packages"], *wheel["force-include"]] if "testing" in name]
