"""Large requests do not hold up short ones, through the ensemble and directly."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from gemma4_testing.servers.heavy_requests import (
    Heavy,
    directly,
    quadratic_engine,
    short_direct,
    short_ensemble,
    through_ensemble,
    times_of,
)
from gemma4_testing.servers.served import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("heavy")
    served = Served(quadratic_engine(folder), folder / "run")
    yield served
    assert served.stop() == 0, "".join(served.output[-30:])


@pytest.mark.parametrize("way", ["ensemble", "direct"])
def test_short_requests_are_answered_beside_large_ones(served: Served, way: str) -> None:
    """One of 1,023 messages alone takes seconds of work; half of the short ones notice nothing
    of five a second. How much they notice at p99 is for the benchmark, on a quiet machine."""
    many = {"messages": json.dumps([{"role": "user", "content": "a"}] * 1023)}
    call = through_ensemble if way == "ensemble" else directly
    with served.client() as client:
        ask = short_ensemble(served) if way == "ensemble" else short_direct(client)
        times_of(ask, 1)
        alone = times_of(ask, 3)
        began = time.monotonic()
        call(served, many)
        took = time.monotonic() - began
        with Heavy(way, served, rate=5):
            beside = times_of(ask, 8)
    assert len(beside) > 10
    assert beside[len(beside) // 2] < max(0.15, 5 * alone[len(alone) // 2], took / 4)
    assert beside[-1] < max(3 * took, 3.0)
