"""What ``gemma4 plan capacity --json`` prints."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from gemma4_plan.document.parts import (
    Deploy,
    Host,
    LeftOut,
    Percentiles,
    Range,
    SecondOpinion,
    strict,
)

__all__ = ["Autoscaled", "Capacity", "Copies", "Fleet", "FleetCourse", "FleetDay", "Question"]


@with_config(strict)
class Question(TypedDict):
    """Requests/s on average and in the busiest minute; mean tokens, and the longest request that an
    engine is built for."""

    mean_rate: float
    peak_rate: float
    prompt_tokens: float
    output_tokens: float
    longest: int
    ttft_ms: float | None
    itl_ms: float | None


@with_config(strict)
class FleetCourse(TypedDict):
    """What came of a simulation. ``attainment``: share of the requests that kept the SLOs, null
    where none came. ``pressure``: how full each limit was, 1 being full."""

    arrived: float
    completed: float
    refused: dict[str, float]
    failed: float
    output_tokens_per_s: float
    attainment: float | None
    gpu_hours: float
    saturates: str
    pressure: dict[str, float]
    ttft_s: Percentiles
    itl_s: Percentiles
    simulated_replicas: int
    simulated_requests: int
    wall_s: float


@with_config(strict)
class FleetDay(FleetCourse):
    """A day, which was simulated in ``shorter`` times fewer seconds."""

    shorter: float


@with_config(strict)
class Fleet(TypedDict):
    """An option with the copies that hold the SLOs in the busiest time, and spare ones."""

    gpu: str
    precision: str
    tensor_parallel: int
    expert_parallel: int
    status: str
    slots: int
    copies_needed: int
    spare: int
    gpus: int
    usd_per_hour: Range | None
    busiest: FleetCourse


@with_config(strict)
class Copies(TypedDict):
    """Copies that the ends and the middle of the estimated speed need; null: no number holds."""

    fast: int | None
    middle: int | None
    slow: int | None


@with_config(strict)
class Autoscaled(TypedDict):
    """The same day with autoscaling, and the command that checks it in full."""

    least: int
    most: int
    check: str
    usd_per_day: Range | None


@with_config(strict)
class Capacity(TypedDict):
    """The cheapest fleet. ``planned_for`` is the end of the estimate that holds the SLOs."""

    question: Question
    best: Fleet
    others: list[Fleet]
    copies_needed: Copies
    planned_for: str
    usd_per_day: Range | None
    usd_per_million_tokens: Range | None
    day: FleetDay
    autoscaled: Autoscaled | None
    host: Host
    deploy: Deploy
    left_out: list[LeftOut]
    second_opinion: SecondOpinion | None
