"""What ``bench/plan_proof.py`` makes of runs of ``gemma4 load``: step times, predictions, errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemma4_plan.simulate import Fleet, Outcome, Replica, Traffic, simulate
from gemma4_plan.simulate.measured import StepFile

__all__ = ["BOUNDS", "Bounds", "Compared", "compare", "in_order", "predict", "steps_of"]

Rows = Sequence[Mapping[str, str]]
Level = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Shares by which a prediction may be off: of throughput, and of TTFT and ITL."""

    throughput: float
    latency: float


BOUNDS = {"synthetic": Bounds(0.05, 0.05), "cpu": Bounds(0.10, 0.20)}
"""Of issue and docs: the engine of a known pace, and the one whose steps were measured."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of one run. Seconds, or tokens/s."""

    run: str
    name: str
    measured: float
    predicted: float
    bound: float

    @property
    def error(self) -> float:
        """The prediction's, as a share of what was measured."""
        return self.predicted / self.measured - 1

    @property
    def within(self) -> bool:
        return abs(self.error) <= self.bound


def predict(level: Level, rows: Rows, replica: Replica) -> Outcome:
    """Simulate the run of a level with the requests that were sent: at the times they were due, or
    in a closed loop in their order."""
    window = level["window"]
    users = level["level"]["concurrency"]
    sent = sorted(
        (row for row in rows if row["prompt_tokens"]), key=lambda row: float(row["scheduled"])
    )
    trace = [
        {
            "timestamp": float(row["scheduled"]) * 1e3,
            "input_length": round(float(row["prompt_tokens"])),
            "output_length": round(float(row["output_tokens"])),
        }
        for row in sent
    ]
    if users is None:
        first = trace[0]["timestamp"] / 1e3
        traffic = Traffic(trace=trace, warmup=max(0.0, window["begin"] - first))
    else:
        traffic = Traffic(users=users, trace=trace, seconds=window["end"], warmup=window["begin"])
    return simulate(traffic, Fleet(replica=replica), most_requests=math.inf)


def compare(run: str, level: Level, found: Outcome, bounds: Bounds) -> list[Compared]:
    """Compare what was measured with what was predicted."""
    measured = level["requests"]
    figures = [
        Compared(
            run, "tokens/s", level["run"]["output_throughput"], found.output_throughput,
            bounds.throughput,
        )
    ]  # fmt: skip
    for name in ("ttft", "itl"):
        for share in ("p50", "p95"):
            figures.append(
                Compared(
                    run, f"{name} {share}", measured[name][share],
                    getattr(getattr(found, name), share), bounds.latency,
                )
            )  # fmt: skip
    return figures


def in_order(points: Mapping[int, float]) -> tuple[tuple[int, float], ...]:
    """Return the points sorted; a measured value that is below the one before it is that one."""
    found: list[tuple[int, float]] = []
    for at in sorted(points):
        found.append((at, max(points[at], found[-1][1] if found else 0.0)))
    return tuple(found)


def steps_of(
    itl: Mapping[int, float],
    ttft: Mapping[int, float],
    *,
    slots: int,
    step_tokens: int,
    measured: str,
) -> StepFile:
    """Return the step times of an engine. ``itl``: seconds between two tokens with so many streams
    of short prompts; ``ttft``: seconds to the first token of a prompt of so many tokens on an idle
    engine, the host's part included. The least prompt of them takes a step like that of one token;
    what is more is the host's. What a step takes however little is in it is where the first two
    points of ``itl`` lead."""
    decode = in_order(itl)
    least = min(ttft)
    overhead = max(0.0, ttft[least] - decode[0][1])
    prefill = in_order({tokens: max(time - overhead, 1e-6) for tokens, time in ttft.items()})
    (one, first), (two, second) = (*decode, *decode)[:2]
    launch = first if len(decode) == 1 else max(0.0, first - one * (second - first) / (two - one))
    return StepFile(
        measured=measured, decode=decode, prefill=prefill, launch_s=min(launch, prefill[0][1]),
        slots=slots, step_tokens=step_tokens, overhead_s=overhead,
    )  # fmt: skip
