"""What ``bench/plan_proof.py`` makes of runs of ``gemma4 load``: predictions, and their errors."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemma4_plan.simulate import Fleet, Outcome, Replica, Traffic, simulate
from gemma4_plan.simulate.seen import Seen

__all__ = [
    "BOUNDS",
    "Bounds",
    "Compared",
    "Figures",
    "compare",
    "measured",
    "predict",
    "predicted",
    "seen",
]

Rows = Sequence[Mapping[str, str]]
Level = Mapping[str, Any]
Figures = dict[str, float]
"""Of one run, by name: tokens/s, and seconds."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Shares by which a prediction may be off: of throughput, and of TTFT and ITL."""

    throughput: float
    latency: float


BOUNDS = {"synthetic": Bounds(0.05, 0.05), "cpu": Bounds(0.10, 0.20)}
"""Of issue and docs: the engine of a known pace, and the one whose steps were measured."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of one load: medians over its runs, and the least and the most that was measured.
    Seconds, or tokens/s."""

    run: str
    name: str
    measured: float
    low: float
    high: float
    predicted: float
    bound: float

    @property
    def error(self) -> float:
        """The prediction's, as a share of what was measured."""
        return self.predicted / self.measured - 1 if self.measured else math.inf

    @property
    def spread(self) -> float:
        """How far the runs lie apart, as a share of their median."""
        return (self.high - self.low) / self.measured if self.measured else math.inf

    @property
    def within(self) -> bool:
        return abs(self.error) <= self.bound


def seen(rows: Rows) -> list[Seen]:
    """Return the answered requests of a run."""
    return [
        Seen(
            due=float(row["scheduled"]),
            first=float(row["scheduled"]) + float(row["ttft"]),
            end=float(row["end"]),
            prompt=round(float(row["prompt_tokens"])),
            output=round(float(row["output_tokens"])),
            queued=float(row["queue_time"] or 0),
            reading=float(row["prefill_time"]) if row["prefill_time"] else None,
            decoding=float(row["decode_time"]) if row["decode_time"] else None,
        )
        for row in rows
        if row["ttft"] and row["prompt_tokens"]
    ]


def predict(level: Level, rows: Rows, replica: Replica) -> Outcome:
    """Simulate the run of a level with the requests that were sent: at the times they were due, or
    in a closed loop in their order."""
    window = level["window"]
    users = level["level"]["concurrency"]
    sent = sorted(
        (row for row in rows if row["prompt_tokens"]),
        key=lambda row: (float(row["scheduled"]), int(row["index"])),
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


def measured(level: Level) -> Figures:
    """Return the figures of a run of ``gemma4 load``."""
    found = {"tokens/s": level["run"]["output_throughput"]}
    for name in ("ttft", "itl"):
        for share in ("p50", "p95"):
            found[f"{name} {share}"] = level["requests"][name][share]
    return found


def predicted(found: Outcome) -> Figures:
    """Return the same figures of a simulation."""
    figures = {"tokens/s": found.output_throughput}
    for name in ("ttft", "itl"):
        for share in ("p50", "p95"):
            figures[f"{name} {share}"] = getattr(getattr(found, name), share)
    return figures


def compare(
    run: str, runs: Sequence[Figures], found: Sequence[Figures], bounds: Bounds
) -> list[Compared]:
    """Compare what was measured of a load, in one run or several, with what was predicted of
    each."""
    lines = []
    for name in runs[0]:
        values = [figures[name] for figures in runs]
        lines.append(
            Compared(
                run, name, statistics.median(values), min(values), max(values),
                statistics.median(figures[name] for figures in found),
                bounds.throughput if name == "tokens/s" else bounds.latency,
            )
        )  # fmt: skip
    return lines
