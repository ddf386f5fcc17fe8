"""Shared by all tests."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from gemma4_runtime.output.vocab import TokenTable, load_token_table
from hypothesis import HealthCheck, settings
from lanes import holds, left_out, takes_alone

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
    parser.addoption("--light", action="store_true", help="Leave out those of tests/light.py.")
    parser.addoption(
        "--only",
        choices=["together", "alone", "e2e", "rest"],
        help="alone: the tests of tests/alone.py; of them e2e: tests/e2e, and rest: the others.",
    )


def pytest_configure() -> None:
    """A shell starts a command in the background, and nohup starts one, with ignored signals, which
    every process that a test starts would ignore too. A handler is not inherited."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spare what is left out as a whole the import: of torch, above all."""
    path = collection_path.relative_to(ROOT / "tests").as_posix()
    if left_out(config, path, "") and not (takes_alone(config) and holds(path)):
        return True
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    dropped = [item for item in items if left_out(config, *name_of(item))]
    if not dropped:
        return
    config.hook.pytest_deselected(items=dropped)
    gone = set(dropped)
    items[:] = [item for item in items if item not in gone]


def name_of(item: pytest.Item) -> tuple[str, str]:
    """The path under tests/, and the test's name without its parameters."""
    return item.path.relative_to(ROOT / "tests").as_posix(), item.name.partition("[")[0]


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    return ROOT / "demo" / "checkpoint"


@pytest.fixture(scope="session")
def table(checkpoint: Path) -> TokenTable:
    return load_token_table(checkpoint / "tokenizer.json")
