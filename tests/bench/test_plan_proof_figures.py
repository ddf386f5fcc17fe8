"""How ``bench/plan_proof.py`` makes predictions of runs, and compares them."""

from __future__ import annotations

from typing import Any

import plan_proof_figures as proof
import pytest
from gemma4_load.workloads.lengths import Length
from gemma4_plan.simulate import Fleet, Replica, Traffic, simulate
from gemma4_plan.simulate.measured import MeasuredSteps, StepFile
from gemma4_plan.simulate.seen import Seen

STEPS = StepFile(
    measured="by hand", decode=((1, 0.01), (4, 0.02)), prefill=((1, 0.01), (64, 0.02)), slots=4,
    step_tokens=64,
)  # fmt: skip


def row(index: int, **values: float | str) -> dict[str, str]:
    found = {
        "index": index, "scheduled": 0.3 * index, "prompt_tokens": 20.0, "output_tokens": 30.0,
        "ttft": 0.05, "end": 0.3 * index + 0.6, "queue_time": "",
        "prefill_time": "", "decode_time": "",
    }  # fmt: skip
    return {name: str(value) for name, value in (found | values).items()}


@pytest.mark.parametrize("users", [None, 3])
def test_a_run_that_is_the_simulation_is_predicted_exactly(users: int | None) -> None:
    replica = Replica(pace=MeasuredSteps(STEPS), slots=4, step_tokens=64, overhead_s=0.005)
    rows = [row(n) for n in range(100)]
    if users is None:
        trace = [
            {"timestamp": 300 * n, "input_length": 20, "output_length": 30} for n in range(100)
        ]
        traffic = Traffic(trace=trace, warmup=3.0)
    else:
        traffic = Traffic(
            users=users, seconds=30, warmup=3, prompt=Length("fixed", 20),
            output=Length("fixed", 30),
        )  # fmt: skip
    truth = simulate(traffic, Fleet(replica=replica))
    level: dict[str, Any] = {
        "window": {"begin": 3.0, "end": 30.0},
        "level": {"concurrency": users},
        "run": {"output_throughput": truth.output_throughput},
        "requests": {
            name: {"p50": getattr(truth, name).p50, "p95": getattr(truth, name).p95}
            for name in ("ttft", "itl")
        },
    }
    found = proof.predicted(proof.predict(level, rows, replica))
    lines = proof.compare("run", [proof.measured(level)], [found], proof.BOUNDS["synthetic"])
    assert len(lines) == 5
    assert all(line.error == pytest.approx(0, abs=1e-9) for line in lines)
    wrong = proof.measured(level) | {"tokens/s": 1e9}
    worse = proof.compare("run", [wrong], [found], proof.BOUNDS["cpu"])
    assert [line.name for line in worse if not line.within] == ["tokens/s"]


def test_medians_are_compared_and_the_spread_is_said() -> None:
    runs = [{"tokens/s": value} for value in (90.0, 100.0, 130.0)]
    (line,) = proof.compare("run", runs, [{"tokens/s": 104.0}] * 3, proof.BOUNDS["cpu"])
    assert (line.measured, line.low, line.high) == (100.0, 90.0, 130.0)
    assert line.error == pytest.approx(0.04)
    assert line.spread == pytest.approx(0.4)
    assert line.within


def test_users_who_ask_at_once_ask_in_their_order() -> None:
    """Rows are written as requests end."""
    lengths = {0: 80.0, 1: 20.0, 2: 50.0}
    rows = [row(n, scheduled=0.0, output_tokens=lengths[n]) for n in (1, 2, 0)]
    replica = Replica(pace=MeasuredSteps(STEPS), slots=1, step_tokens=64)
    level = {"window": {"begin": 0.0, "end": 0.001}, "level": {"concurrency": 1}}
    assert proof.predict(level, rows, replica).output_tokens == 80


def test_only_what_was_answered_is_seen() -> None:
    rows = [
        row(1, end=0.9, queue_time=0.02, prefill_time=0.01, decode_time=0.5),
        row(2, ttft="", prompt_tokens="", output_tokens=""),
    ]
    assert proof.seen(rows) == [
        Seen(
            due=0.3,
            first=0.35,
            end=0.9,
            prompt=20,
            output=30,
            queued=0.02,
            reading=0.01,
            decoding=0.5,
        )
    ]
