"""The simulation against ``gemma4 load``'s own course and figures, in virtual time: nothing here
depends on how busy the machine is. The synthetic engine is the real one; the other is written step
by step for this (``gemma4_testing.virtual_time``). And the comparison itself: whatever would be
wrong with the simulation is beyond its bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import plan_proof_figures as proof
import pytest
from gemma4_load.drive.arrivals import Rate
from gemma4_load.drive.level import Level
from gemma4_load.drive.run import LevelRun
from gemma4_load.report.files import Results, read_requests
from gemma4_load.report.summary import summarize
from gemma4_load.workloads.lengths import Length
from gemma4_load.workloads.lengthy import Lengthy
from gemma4_load.workloads.words import Words
from gemma4_plan.simulate import Replica, StreamPace, engine, step_engine, stream_engine, tally
from gemma4_plan.simulate.ledger import Ledger
from gemma4_plan.simulate.measured import MeasuredSteps, StepFile
from gemma4_plan.simulate.observed import steps_from
from gemma4_plan.simulate.outcome import Percentiles
from gemma4_plan.simulate.simulation import Simulation
from gemma4_runtime.engines.synthetic import SyntheticEngine
from gemma4_testing.virtual_time.clock import Clock, VirtualCondition, in_virtual_time
from gemma4_testing.virtual_time.stepped_engine import SteppedEngine
from gemma4_testing.virtual_time.target import EngineTarget

SLOTS, STEP_TOKENS, HOST_S = 8, 64, 0.0042
SECONDS, WARMUP = 20.0, 2.0
PACE = StreamPace(interval_s=1 / 50, prefill_s=1 / 2000)
STEPS = StepFile(
    measured="by hand", decode=((1, 0.011), (2, 0.012), (4, 0.014), (8, 0.018)),
    prefill=((1, 0.0055), (200, 0.105)), slots=SLOTS, step_tokens=STEP_TOKENS,
)  # fmt: skip
REPLICAS = {
    "synthetic": Replica(pace=PACE, slots=SLOTS, max_queued=10_000, overhead_s=HOST_S),
    "stepped": Replica(
        pace=MeasuredSteps(STEPS), slots=SLOTS, max_queued=10_000, step_tokens=STEP_TOKENS,
        overhead_s=HOST_S,
    ),
}  # fmt: skip
MOST = {"synthetic": 7.3, "stepped": 6.2}
"""Requests/s that each can answer."""
BOUNDS = proof.Bounds(throughput=0.01, latency=0.03)
"""Two requests that end in one step may ask again in another order, and a closed loop goes on from
there; without that they agree to 2 in 1,000, the width of the simulation's bins."""


@dataclass(frozen=True)
class Load:
    """``users`` of a closed loop, or the share of :data:`MOST` that an open one sends."""

    users: int | None = None
    share: float = 0.0


LOADS = {
    "2 users": Load(2), "5 users": Load(5), "8 users": Load(8), "12 users": Load(12),
    "40 %": Load(share=0.4), "70 %": Load(share=0.7), "90 %": Load(share=0.9),
}  # fmt: skip


async def measure(kind: str, load: Load, clock: Clock, folder: Path) -> tuple[Any, Any]:
    """Return the level of a run and its requests, as ``gemma4 load`` writes them."""
    made: Any
    if kind == "synthetic":
        made = SyntheticEngine(
            slots=SLOTS, max_queued=10_000, max_total_tokens=4096, vocab_size=100,
            special_ids=frozenset(), interval_s=PACE.interval_s,
            prefill_s_per_1k=1000 * PACE.prefill_s,
        )  # fmt: skip
    else:
        pace = MeasuredSteps(STEPS)
        made = SteppedEngine(
            lambda answers, prompt: pace.seconds(answers, 0, prompt, 0.0), slots=SLOTS,
            step_tokens=STEP_TOKENS,
        )  # fmt: skip
    rate = load.share * MOST[kind]
    level = Level(
        concurrency=load.users, rate=None if load.users else Rate(rate, rate), warmup=WARMUP,
        seconds=SECONDS, seed=5,
    )  # fmt: skip
    workload = Lengthy(Words(), Length("uniform", 50, 200), Length("uniform", 20, 80))
    results = Results(folder)
    try:
        run = LevelRun(
            EngineTarget(made, HOST_S), workload, level,
            lambda record: results.add(level.label, record, warmup=WARMUP),
        )  # fmt: skip
        found = await run.run()
    finally:
        clock.release()
        made.close()
        results.close()
    summary = summarize(found, (), max_client_lag=1e9, server={})
    return summary, read_requests(folder)


Measured = Callable[[str, str], tuple[Any, Any]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Each run is done once."""
    done: dict[tuple[str, str], tuple[Any, Any]] = {}

    def once(kind: str, load: str) -> tuple[Any, Any]:
        if (kind, load) not in done:
            folder, clock = tmp_path_factory.mktemp("run"), Clock()
            with pytest.MonkeyPatch.context() as patch:
                if kind == "synthetic":
                    for module in ("synthetic", "queue"):
                        patch.setattr(f"gemma4_runtime.engines.{module}.time", clock.module())
                    patch.setattr(
                        "gemma4_runtime.engines.synthetic.Condition",
                        lambda: VirtualCondition(clock),
                    )
                else:
                    patch.setattr("gemma4_runtime.engines.queue.time", clock.module())
                course = measure(kind, LOADS[load], clock, folder)
                done[kind, load] = in_virtual_time(clock, patch, course)
        return done[kind, load]

    return once


def compared(
    found: tuple[Any, Any], replica: Replica, bounds: proof.Bounds = BOUNDS
) -> list[proof.Compared]:
    level, rows = found
    figures = proof.predicted(proof.predict(level, rows, replica))
    return proof.compare("", [proof.measured(level)], [figures], bounds)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("kind", REPLICAS)
def test_what_is_simulated_is_what_is_measured(kind: str, load: str, measured: Measured) -> None:
    level, rows = measured(kind, load)
    assert level["valid"] and level["counts"]["whole"] > 30
    lines = compared((level, rows), REPLICAS[kind])
    assert [f"{line.name} {line.error:+.1%}" for line in lines if not line.within] == []


@pytest.mark.parametrize("load", LOADS)
def test_step_times_are_found_from_what_a_load_test_sees(load: str, measured: Measured) -> None:
    """A load is predicted with step times of all others, and with those of its own run."""
    runs = {name: measured("stepped", name) for name in LOADS}
    for names in ([name for name in LOADS if name != load], [load]):
        fitted = steps_from(
            [proof.seen(runs[name][1]) for name in names], slots=SLOTS, step_tokens=STEP_TOKENS,
            measured="",
        )  # fmt: skip
        assert fitted.overhead_s == pytest.approx(HOST_S, abs=1e-4)
        pace, true = MeasuredSteps(fitted), MeasuredSteps(STEPS)
        for answers in (1, 2, 4, 8) if len(names) > 1 else ():
            expected = true.seconds(answers, 0, 0, 0.0)
            assert pace.seconds(answers, 0, 0, 0.0) == pytest.approx(expected, rel=0.08)
        replica = replace(
            REPLICAS["stepped"], pace=pace, overhead_s=fitted.overhead_s, host=fitted.host
        )
        lines = compared(runs[load], replica, proof.Bounds(0.03, 0.15))
        assert [f"{line.name} {line.error:+.1%}" for line in lines if not line.within] == []


# a wrong simulation

Patch = pytest.MonkeyPatch


class Newest(deque[Any]):
    """A queue of which the last comes first."""

    popleft = deque.pop


def wrapped(patch: Patch, owner: Any, name: str, change: Callable[..., Any]) -> None:
    """Have ``change`` get what ``owner.name`` gets, after the original."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda *args, **more: change(original, *args, **more))


def with_replica(patch: Patch, **change: Any) -> None:
    """Build engines of another replica than was asked for."""

    def build(original: Any, self: Any, replica: Replica, *args: Any) -> None:
        values = {name: new(getattr(replica, name)) for name, new in change.items()}
        original(self, replace(replica, **values), *args)

    for kind in (step_engine.StepEngine, stream_engine.StreamEngine):
        wrapped(patch, kind, "__init__", build)


def half_a_budget(patch: Patch) -> None:
    with_replica(patch, step_tokens=lambda tokens: tokens // 2)


def prompts_whole(patch: Patch) -> None:
    with_replica(patch, step_tokens=lambda _: 8192)


def a_slot_less(patch: Patch) -> None:
    with_replica(patch, slots=lambda slots: slots - 1)


def a_slot_more(patch: Patch) -> None:
    with_replica(patch, slots=lambda slots: slots + 1)


def last_come_first_served(patch: Patch) -> None:
    patch.setattr(engine, "deque", Newest)


def answers_stand_still_beside_prompts(patch: Patch) -> None:
    def seconds(original: Any, self: Any, decode: int, *rest: Any) -> float:
        return float(original(self, 0 if rest[1] else decode, *rest))

    wrapped(patch, MeasuredSteps, "seconds", seconds)


def steps_of_one_answer(patch: Patch) -> None:
    def seconds(original: Any, self: Any, decode: int, *rest: Any) -> float:
        return float(original(self, min(decode, 1), *rest))

    wrapped(patch, MeasuredSteps, "seconds", seconds)


def prompts_for_nothing(patch: Patch) -> None:
    def seconds(original: Any, self: Any, decode: int, context: float, *_: Any) -> float:
        return float(original(self, max(decode, 1), context, 0, 0.0))

    wrapped(patch, MeasuredSteps, "seconds", seconds)


def no_host(patch: Patch) -> None:
    wrapped(
        patch, Simulation, "__init__",
        lambda original, self, traffic, fleet, *args, **more: original(
            self, traffic, replace(fleet, replica=replace(fleet.replica, overhead_s=0)), *args,
            **more,
        ),
    )  # fmt: skip


def ended(change: Callable[[Any], None]) -> Callable[[Patch], None]:
    def patched(patch: Patch) -> None:
        def book(original: Any, self: Any, request: Any, now: float) -> None:
            change(request)
            original(self, request, now)

        wrapped(patch, Ledger, "ended", book)

    return patched


def first_seen_late(request: Any) -> None:
    request.first += 0.02


def waits_forgotten(request: Any) -> None:
    request.first -= request.started - request.arrived


def warm_up_counted(request: Any) -> None:
    request.measured = True


def percentiles(change: Callable[[Percentiles], Percentiles]) -> Callable[[Patch], None]:
    def patched(patch: Patch) -> None:
        wrapped(patch, tally, "_percentiles", lambda original, *args: change(original(*args)))

    return patched


def p90_for_p95(found: Percentiles) -> Percentiles:
    return replace(found, p95=found.p90)


def mean_for_p50(found: Percentiles) -> Percentiles:
    return replace(found, p50=found.mean)


def tokens_of_prompts_too(patch: Patch) -> None:
    def steps(original: Any, self: Any, *args: Any, tokens: int, **more: Any) -> None:
        original(self, *args, tokens=round(tokens * 1.02), **more)

    wrapped(patch, Ledger, "steps", steps)


MUTANTS: dict[str, tuple[Callable[[Patch], None], tuple[str, ...]]] = {
    "half a budget": (half_a_budget, ("stepped",)),
    "prompts whole": (prompts_whole, ("stepped",)),
    "a slot less": (a_slot_less, ("stepped", "synthetic")),
    "a slot more": (a_slot_more, ("stepped", "synthetic")),
    "last come, first served": (last_come_first_served, ("stepped", "synthetic")),
    "answers stand still beside prompts": (answers_stand_still_beside_prompts, ("stepped",)),
    "steps of one answer": (steps_of_one_answer, ("stepped",)),
    "prompts for nothing": (prompts_for_nothing, ("stepped",)),
    "no host": (no_host, ("stepped", "synthetic")),
    "first seen late": (ended(first_seen_late), ("stepped", "synthetic")),
    "waits forgotten": (ended(waits_forgotten), ("stepped", "synthetic")),
    "warm-up counted": (ended(warm_up_counted), ("stepped", "synthetic")),
    "p90 for p95": (percentiles(p90_for_p95), ("stepped", "synthetic")),
    "mean for p50": (percentiles(mean_for_p50), ("stepped", "synthetic")),
    "2 % more tokens": (tokens_of_prompts_too, ("stepped", "synthetic")),
}
"""What is wrong, and which engines must show it."""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_simulation_is_beyond_the_bounds(
    mutant: str, measured: Measured, monkeypatch: Patch
) -> None:
    change, kinds = MUTANTS[mutant]
    runs = {(kind, load): measured(kind, load) for kind in kinds for load in LOADS}
    change(monkeypatch)
    for kind in kinds:
        lines = [line for load in LOADS for line in compared(runs[kind, load], REPLICAS[kind])]
        assert any(not line.within for line in lines), kind
