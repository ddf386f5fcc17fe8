"""The highest load that meets the SLOs, and what the command line says of loads."""

from __future__ import annotations

from typing import Any

import pytest
from gemma4_load.drive.level import Level
from gemma4_load.drive.search import highest, voted
from gemma4_load.errors import OptionError
from gemma4_load.load_plan import Search, parse_levels, parse_slo
from hypothesis import given
from hypothesis import strategies as st


def found(
    capacity: float, lowest: float, limit: float, *, whole: bool
) -> tuple[float | None, list[Any]]:
    search, tried = highest(lowest, limit, whole=whole), []
    load = next(search)
    try:
        while True:
            tried.append(load)
            load = search.send(load <= capacity)
    except StopIteration as over:
        return over.value, tried


@given(st.integers(1, 300))
def test_concurrency(capacity: int) -> None:
    load, tried = found(capacity, 1, 256, whole=True)
    assert load <= min(capacity, 256)
    assert min(capacity, 256) - load <= max(1, load * 0.1)
    assert len(tried) == len(set(tried)) <= 16
    assert all(load == int(load) for load in tried)


@given(st.floats(0.5, 90))
def test_rate(capacity: float) -> None:
    load, tried = found(capacity, 0.5, 64, whole=False)
    assert load <= min(capacity, 64) <= load * 1.1001
    assert len(tried) <= 16


@pytest.mark.parametrize(
    ("runs", "met", "asked"),
    [
        (1, "y", 1), (1, "n", 1), (3, "yy", 2), (3, "nn", 2), (3, "yny", 3), (3, "nyn", 3),
        (2, "yy", 2), (2, "n", 1), (5, "ynyny", 5), (4, "ynyy", 4), (4, "nn", 2),
    ],
)  # fmt: skip
def test_most_runs_of_a_load_decide(runs: int, met: str, asked: int) -> None:
    trial = voted(highest(3, 3, whole=True), runs)
    said = [next(trial)]
    answers = iter(met)
    try:
        while True:
            said.append(trial.send(next(answers) == "y"))
    except StopIteration as over:
        verdict = over.value
    assert said == [(3, run) for run in range(asked)]
    assert verdict == (3 if met.count("y") * 2 > runs else None)


def test_runs_are_told_apart() -> None:
    search = Search("concurrency", 1, 8, 0.95, 3)
    levels = [search.level(Level(seed=7), 4, run) for run in range(2)]
    assert [level.label for level in levels] == ["concurrency 4", "concurrency 4, run 2"]
    assert [level.seed for level in levels] == [7, 8]


def test_none_meets() -> None:
    assert found(0.5, 1, 256, whole=True) == (None, [1])


@pytest.mark.parametrize(
    ("text", "limit"),
    [("ttft=500ms", 0.5), ("itl=50", 0.05), ("latency=2s", 2.0), ("user_throughput=9", 9)],
)
def test_slos(text: str, limit: float) -> None:
    assert parse_slo(text).limit == limit


@pytest.mark.parametrize(
    "text", ["", "ttft", "ttft=", "ttft=x", "speed=3", "ttft=-1", "send_lag=5ms", "prompt_tokens=4",
             "user_throughput=9ms", "ttft=1.2.3ms"],
)  # fmt: skip
def test_bad_slos(text: str) -> None:
    with pytest.raises(OptionError, match="--slo"):
        parse_slo(text)


def test_levels() -> None:
    base = Level(seconds=5.0)
    assert [x.label for x in parse_levels(base, "1,8", ())] == ["concurrency 1", "concurrency 8"]
    assert [x.label for x in parse_levels(base, None, ["1,2", "1:9"])] == ["1/s", "2/s", "1 to 9/s"]


@pytest.mark.parametrize(
    ("base", "concurrency", "said"),
    [
        (Level(), "0", "--concurrency 0"),
        (Level(), "1,x", "--concurrency x"),
        (Level(), "-4", "--concurrency -4"),
        (Level(arrival="monthly"), "1", "--arrival monthly"),
        (Level(burstiness=0.0), "1", "--burstiness 0.0"),
    ],
)
def test_bad_levels(base: Level, concurrency: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_levels(base, concurrency, ())
