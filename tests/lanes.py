"""Which tests `pytest --unit`, `--light` and `--only` leave out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

import pytest
from alone import ALONE
from light import NOT_LIGHT
from unit import NOT_UNIT

__all__ = ["holds", "left_out", "takes_alone"]


def left_out(config: pytest.Config, path: str, name: str) -> bool:
    """Say whether a test is not one of those that were asked for; ``path`` under tests/."""
    if config.getoption("--unit") and is_in(NOT_UNIT, path, name):
        return True
    if config.getoption("--light") and is_in(NOT_LIGHT, path, name):
        return True
    only: str | None = config.getoption("--only")
    if only is None:
        return False
    if only in ("e2e", "rest") and is_in({"e2e"}, path, name) != (only == "e2e"):
        return True
    return is_in(ALONE, path, name) != (only != "together")


def is_in(table: Collection[str], path: str, name: str) -> bool:
    """Say whether the table names the file, a folder of it, or this test of it."""
    names = {path, *(parent.as_posix() for parent in PurePosixPath(path).parents)}
    return f"{path}::{name}" in table or not names.isdisjoint(table)


def takes_alone(config: pytest.Config) -> bool:
    return config.getoption("--only") in ("alone", "e2e", "rest")


def holds(path: str) -> bool:
    """Say whether the table of tests that run alone names something in the file or folder."""
    return path == "." or any(entry.startswith((f"{path}/", f"{path}::")) for entry in ALONE)
