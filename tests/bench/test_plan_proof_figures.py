"""How ``bench/plan_proof.py`` makes step times and predictions of runs."""

from __future__ import annotations

from typing import Any

import plan_proof_figures as proof
import pytest
from gemma4_load.workloads.lengths import Length
from gemma4_plan.simulate import Fleet, Replica, Traffic, simulate
from gemma4_plan.simulate.measured import MeasuredSteps


def test_step_times_come_out_as_they_went_in() -> None:
    """Of an engine that launches for 4 ms, takes 1 ms for an answer, 0.1 ms for a prompt's token,
    behind a host of 5 ms."""
    itl = {n: 0.004 + 0.001 * n for n in (1, 2, 4)}
    ttft = {n: 0.005 + 0.004 + 0.0001 * n for n in (10, 100)}
    steps = proof.steps_of(itl, ttft, slots=4, step_tokens=512, measured="by hand")
    assert steps.launch_s == pytest.approx(0.004)
    assert steps.overhead_s == pytest.approx(0.005)
    pace = MeasuredSteps(steps)
    assert pace.seconds(3, 0, 0, 0) == pytest.approx(0.007)
    assert pace.seconds(0, 0, 55, 0) == pytest.approx(0.0095)
    assert pace.seconds(3, 0, 55, 0) == pytest.approx(0.007 + 0.0055)


def test_noise_never_makes_a_larger_step_shorter() -> None:
    assert proof.in_order({4: 0.02, 1: 0.03, 8: 0.05}) == ((1, 0.03), (4, 0.03), (8, 0.05))


@pytest.mark.parametrize("users", [None, 3])
def test_a_run_that_is_the_simulation_is_predicted_exactly(users: int | None) -> None:
    steps = proof.steps_of({1: 0.01, 4: 0.02}, {1: 0.015}, slots=4, step_tokens=64, measured="")
    replica = Replica(pace=MeasuredSteps(steps), slots=4, step_tokens=64, overhead_s=0.005)
    rows: list[dict[str, Any]] = [
        {"scheduled": f"{n * 0.3:.6f}", "prompt_tokens": "20.0", "output_tokens": "30.0"}
        for n in range(100)
    ]
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
    found = proof.predict(level, rows, replica)
    lines = proof.compare("run", level, found, proof.BOUNDS["synthetic"])
    assert len(lines) == 5
    assert all(line.error == pytest.approx(0, abs=1e-9) for line in lines)
    worse = proof.compare(
        "run", level | {"run": {"output_throughput": 1e9}}, found, proof.BOUNDS["cpu"]
    )
    assert [line.name for line in worse if not line.within] == ["tokens/s"]
