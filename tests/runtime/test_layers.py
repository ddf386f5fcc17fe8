"""No import runs upward: each folder uses only those that are listed for it (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from gemma4_testing.layers import BASE, RUNTIME

ROOT = Path(__file__).parents[2]
SOURCES = ("runtime", "build", "clients", "load_tests", "serve", "cli")

PACKAGES = {
    "gemma4_runtime": set(),
    "gemma4_client": {"gemma4_runtime"},
    "gemma4_build": {"gemma4_runtime"},
    "gemma4_plan": {"gemma4_build", "gemma4_gateway", "gemma4_load", "gemma4_runtime"},
    "gemma4_gateway": {"gemma4_client", "gemma4_runtime"},
    "gemma4_dynamo": {"gemma4_client", "gemma4_gateway", "gemma4_runtime"},
    "gemma4_load": {"gemma4_client", "gemma4_runtime"},
    "gemma4_serve": {"gemma4_client", "gemma4_runtime"},
    "gemma4_cli": {
        "gemma4_build", "gemma4_client", "gemma4_dynamo", "gemma4_gateway", "gemma4_load",
        "gemma4_plan", "gemma4_runtime", "gemma4_serve",
    },
}  # fmt: skip

BUILD_TOP = {"gemma4_build.pipeline", "gemma4_build.warm"}
"""The modules of the build that may use the folder of one kind of engine."""


def modules() -> Iterator[tuple[str, Path]]:
    for source in SOURCES:
        for path in sorted((ROOT / source).glob("gemma4_*/**/*.py")):
            parts = path.relative_to(ROOT / source).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__"), path


def imports(path: Path) -> set[str]:
    """Names of the project's modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide what is used"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("gemma4_")}


def folder_of(module: str) -> str:
    """The folder of the runtime that ``module`` is in; "" for its base and for other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == BASE and len(parts) > 1 and parts[1] in RUNTIME else ""


@pytest.mark.parametrize("package", PACKAGES)
def test_packages(package: str) -> None:
    used = {
        name.split(".")[0]
        for module, path in modules()
        if module.split(".")[0] == package
        for name in imports(path)
    }
    assert used - {package} <= PACKAGES[package]


@pytest.mark.parametrize("folder", RUNTIME)
def test_folders_of_the_runtime(folder: str) -> None:
    seen = False
    for module, path in modules():
        if folder_of(module) == folder:
            seen = True
            used = {folder_of(name) for name in imports(path)} - {"", folder}
            assert used <= RUNTIME[folder], module
    assert seen


def test_the_base_of_the_runtime_uses_no_folder_but_the_declaration() -> None:
    for module, path in modules():
        if module.split(".")[0] == BASE and not folder_of(module):
            assert not {folder_of(name) for name in imports(path)} - {"", "contract"}, module


def test_every_folder_of_the_runtime_has_its_place() -> None:
    folders = {path.parent.name for path in (ROOT / "runtime" / BASE).glob("*/__init__.py")}
    assert folders == set(RUNTIME)


def test_the_table_has_no_circle() -> None:
    below: set[str] = set()
    for folder, used in RUNTIME.items():
        assert used <= below, f"{folder} uses what stands above it"
        below.add(folder)


def test_modules_of_the_build_know_no_kind_of_engine() -> None:
    for module, path in modules():
        parts = module.split(".")
        if parts[0] == "gemma4_build" and len(parts) == 2 and module not in BUILD_TOP:
            used = {name for name in imports(path) if name.startswith("gemma4_build.trtllm")}
            assert not used, module
