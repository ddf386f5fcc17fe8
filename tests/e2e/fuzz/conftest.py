"""A fast synthetic server for all of the fuzzers, and how many requests they send."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.fuzz_count import fuzz_count
from gemma4_testing.servers.served import Served


@pytest.fixture(scope="session")
def count() -> int:
    """Of each protocol; `make test-fuzz` sets 20,000."""
    return fuzz_count(300)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fuzz")
    synthetic_engine(folder / "engine", tokens_per_s=2000.0, slots=64, max_total_tokens=512)
    served = Served(folder / "engine", folder / "run")
    yield served
    assert served.stop() == 0, "".join(served.output[-30:])
