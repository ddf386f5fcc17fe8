"""Shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_runtime.output.vocab import TokenTable, load_token_table
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    return ROOT / "demo" / "checkpoint"


@pytest.fixture(scope="session")
def table(checkpoint: Path) -> TokenTable:
    return load_token_table(checkpoint / "tokenizer.json")
