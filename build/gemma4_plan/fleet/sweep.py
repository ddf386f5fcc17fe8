"""A fleet at other loads than the planned one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gemma4_plan.fleet.answer import Answer
from gemma4_plan.fleet.search import Candidate
from gemma4_plan.fleet.sizing import Sizing
from gemma4_plan.simulate import Outcome, simulate
from gemma4_plan.speed.fitted import Fitted

__all__ = ["Curve", "Point", "sweep"]

_SHARES = (0.25, 0.5, 0.75, 1.0, 1.15, 1.3)
"""Of the busiest minute."""

_OTHERS = 2
"""Options beside the cheapest that are swept too."""

_MOST_REQUESTS = 8_000
"""Requests that one point simulates, where replicas can be left out."""


@dataclass(frozen=True, slots=True)
class Point:
    """At ``rate`` requests/s; dollars for 10^6 output tokens at the middle of the rents, with the
    spare copies, None without a price."""

    rate: float
    outcome: Outcome
    usd_per_million: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """The needed copies of one option."""

    candidate: Candidate
    points: tuple[Point, ...]


def sweep(
    found: Answer, fitted: Fitted, tick: Callable[[str], None] = lambda _: None
) -> tuple[Curve, ...]:
    """Simulate the cheapest fleet, and the next two on other GPUs or precisions."""
    candidates = (found.best, *found.found.others[:_OTHERS])
    return tuple(_curve(found, candidate, fitted, tick) for candidate in candidates)


def _curve(
    found: Answer, candidate: Candidate, fitted: Fitted, tick: Callable[[str], None]
) -> Curve:
    question = found.question
    sizing = Sizing(question, candidate.option, fitted, found.found.end, tick)
    points = []
    for share in _SHARES:
        tick(f"{candidate.option.card.product} at {share:.0%} of the load")
        outcome = simulate(
            question.busiest(share), sizing.fleet(candidate.needed, share=share), question.seed,
            most_requests=_MOST_REQUESTS,
        )  # fmt: skip
        rate = (question.mean_rate if question.trace else question.peak_rate) * share
        points.append(Point(rate, outcome, _cost(candidate, outcome)))
    return Curve(candidate, tuple(points))


def _cost(candidate: Candidate, outcome: Outcome) -> float | None:
    price = candidate.usd_per_hour
    if price is None or not outcome.output_throughput:
        return None
    return math.sqrt(price[0] * price[1]) / (outcome.output_throughput * 3600) * 1e6
