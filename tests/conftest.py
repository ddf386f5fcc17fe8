"""Shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_runtime.output.vocab import TokenTable, load_token_table
from hypothesis import HealthCheck, settings
from unit import NOT_UNIT

ROOT = Path(__file__).parents[1]

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--unit", action="store_true", help="Only the fast tests: see tests/unit.py.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption("--unit"):
        return None
    path = collection_path.relative_to(ROOT / "tests").as_posix()
    return True if path in NOT_UNIT else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--unit"):
        return
    left_out = [item for item in items if name_of(item) in NOT_UNIT]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if name_of(item) not in NOT_UNIT]


def name_of(item: pytest.Item) -> str:
    """As in :data:`unit.NOT_UNIT`: the path, and the test's name without its parameters."""
    path = item.path.relative_to(ROOT / "tests").as_posix()
    return f"{path}::{item.name.partition('[')[0]}"


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    return ROOT / "demo" / "checkpoint"


@pytest.fixture(scope="session")
def table(checkpoint: Path) -> TokenTable:
    return load_token_table(checkpoint / "tokenizer.json")
