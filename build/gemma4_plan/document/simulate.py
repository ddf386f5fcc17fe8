"""What ``gemma4 plan simulate --json`` prints."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from gemma4_plan.document.parts import Percentiles, strict

__all__ = ["Course", "Part", "Simulation"]


@with_config(strict)
class Part(TypedDict):
    """A part of the time, see :class:`gemma4_plan.simulate.outcome.Interval`."""

    start_s: float
    length_s: float
    arrived: float
    ended: float
    refused: float
    failed: float
    kept: float
    output_tokens: float
    replicas: float
    ready: float
    running: float
    waiting: float
    slots: float
    kv: float
    busy: float
    queue: float
    ttft: Percentiles
    itl: Percentiles


@with_config(strict)
class Course(TypedDict):
    """What came of it, see :class:`gemma4_plan.simulate.outcome.Outcome`."""

    seconds: float
    arrived: float
    completed: float
    refused: dict[str, float]
    failed: float
    prompt_tokens: float
    cached_tokens: float
    output_tokens: float
    generated_tokens: float
    ttft: Percentiles
    itl: Percentiles
    e2e: Percentiles
    queue: Percentiles
    request_throughput: float
    output_throughput: float
    goodput: float
    attainment: float | None
    holds: bool
    gpu_hours: float
    replica_hours: float
    suspended: float
    timeline: list[Part]
    saturates: str
    pressure: dict[str, float]
    simulated_replicas: int
    simulated_requests: int
    events: int
    wall_s: float


@with_config(strict)
class Simulation(TypedDict):
    """At the middle of the estimated speed (measured steps have only this one) and at its slow end;
    null is what was not simulated."""

    middle: Course | None
    slow: Course | None
