"""docs/architecture.md and docs/guarantees.md name modules and tests: all of them exist, and no
module of the request path is missing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from gemma4_testing.layers import RUNTIME

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
GUARANTEES = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
MODULES = sorted(set(re.findall(r"`([\w./-]+\.py)`", ARCHITECTURE)))
TESTS = re.findall(r"^\* `(tests/[\w/]+\.py)::(\w+)`$", GUARANTEES, re.M)
REQUEST_PATH = [
    "model_repository/*/1/*.py",
    "nvidia_repository/*/1/*.py",
    "runtime/gemma4_runtime/server/*.py",
    "runtime/gemma4_runtime/server/streams/*.py",
    "runtime/gemma4_runtime/preparation/*.py",
    "runtime/gemma4_runtime/input/*.py",
    "runtime/gemma4_runtime/guides/*.py",
    "runtime/gemma4_runtime/guides/schema/*.py",
    "runtime/gemma4_runtime/engines/*.py",
    "runtime/gemma4_runtime/engines/*/*.py",
    "runtime/gemma4_runtime/output/*.py",
    "runtime/gemma4_runtime/logs/*.py",
    "runtime/gemma4_runtime/processes/*.py",
    "runtime/gemma4_runtime/tracing/*.py",
]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_exists(module: str) -> None:
    assert (ROOT / module).is_file()


@pytest.mark.parametrize("folder", REQUEST_PATH)
def test_no_module_of_the_request_path_is_missing(folder: str) -> None:
    found = {str(path.relative_to(ROOT)) for path in ROOT.glob(folder)}
    missing = {path for path in found if not path.endswith("__init__.py")} - set(MODULES)
    assert found
    assert not missing, f"add one line for each to docs/architecture.md: {sorted(missing)}"


@pytest.mark.parametrize(("file", "name"), TESTS, ids=str)
def test_a_test_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in tree.body if isinstance(node, functions)}


def test_every_guarantee_has_tests_and_a_keeper() -> None:
    sections = re.split(r"^## ", GUARANTEES, flags=re.M)[1:]
    assert len(sections) >= 12
    for section in sections:
        title = section.splitlines()[0]
        assert "* `tests/" in section, title
        anchor = title.lower().replace(" ", "-")
        assert f"](guarantees.md#{anchor})" in ARCHITECTURE, title
    assert len(re.findall(r"^\* ", GUARANTEES, re.M)) == len(TESTS)


def test_the_layers_are_those_that_are_tested() -> None:
    section = ARCHITECTURE.split("## Layers of the runtime")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)/` \|[^|]*\|([^|]*)\|$", section, re.M)
    table = {folder: set(re.findall(r"`(\w+)/`", used)) for folder, used in rows}
    assert table == RUNTIME
    assert list(table) == list(RUNTIME)
