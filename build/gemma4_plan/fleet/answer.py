"""The cheapest fleet, its day, its cost and its hosts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gemma4_plan.catalog import Catalog
from gemma4_plan.deploy.chosen import Chosen
from gemma4_plan.fleet.question import CapacityQuestion
from gemma4_plan.fleet.search import Candidate, Found, search
from gemma4_plan.fleet.sizing import Sizing, kept
from gemma4_plan.host.costs import HostCosts, host_costs
from gemma4_plan.simulate import Autoscaling, Fleet, Outcome, Traffic, simulate
from gemma4_plan.span import Span
from gemma4_plan.speed.fitted import Fitted

__all__ = ["Answer", "Scaled", "answer", "usd_per_million"]

_MOST_REQUESTS = 60_000
"""Requests that a simulated day has, where replicas can be left out."""

_DAY_H = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """The same day where the chart's autoscaling keeps ``least`` to ``most`` copies."""

    least: int
    most: int
    outcome: Outcome
    holds: bool
    usd_per_day: Span | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``day`` is a day, or the trace, on all copies. Costs are dollars, None without a price;
    ``usd_per_million`` is for 10^6 output tokens of that day. ``at_once`` are the requests of the
    busiest time."""

    question: CapacityQuestion
    found: Found
    day: Outcome
    traffic: Traffic
    usd_per_day: Span | None
    usd_per_million: Span | None
    scaled: Scaled | None
    host: HostCosts
    chosen: Chosen

    @property
    def best(self) -> Candidate:
        return self.found.best


def answer(
    question: CapacityQuestion,
    catalog: Catalog,
    fitted: Fitted,
    tick: Callable[[str], None] = lambda _: None,
) -> Answer:
    """Search, and simulate the day. Raises :class:`BadQuestionError` where nothing holds."""
    found = search(question, catalog, fitted, tick)
    best = found.best
    sizing = Sizing(question, best.option, fitted, found.end, tick)
    traffic = question.day()
    tick("a day of the fleet")
    fleet = sizing.fleet(best.copies)
    day = simulate(traffic, fleet, question.seed, most_requests=_MOST_REQUESTS)
    busiest = best.outcome.timeline
    at_once = max((part.running + part.waiting for part in busiest), default=0.0)
    host = host_costs(
        requests_per_s=question.peak_rate, prompt=question.prompt_mean,
        output=question.output_mean, copies=best.needed, at_once=at_once,
    )  # fmt: skip
    per_day = None
    if best.usd_per_hour is not None:
        per_day = Span(*(price * _DAY_H for price in best.usd_per_hour))
    return Answer(
        question=question,
        found=found,
        day=day,
        traffic=traffic,
        usd_per_day=per_day,
        usd_per_million=usd_per_million(per_day, question.tokens_per_day),
        scaled=_scaled(question, best, fleet, traffic, tick),
        host=host,
        chosen=Chosen(
            gpu=best.option.gpu, card=best.option.card, split=best.option.split,
            slots=best.option.streams, tokens=question.longest, replicas=best.copies, host=host,
        ),
    )  # fmt: skip


def usd_per_million(per_day: Span | None, tokens_per_day: float) -> Span | None:
    """Return the dollars for 10^6 output tokens."""
    if per_day is None:
        return None
    return Span(per_day.low / tokens_per_day * 1e6, per_day.high / tokens_per_day * 1e6)


def _scaled(
    question: CapacityQuestion,
    best: Candidate,
    fleet: Fleet,
    traffic: Traffic,
    tick: Callable[[str], None],
) -> Scaled | None:
    """Simulate the day with autoscaling; None where there is nothing to save, or no day."""
    if question.trace or question.peak <= 1 or best.copies < _WORTH:
        return None
    tick("the same day with autoscaling")
    least = max(1, math.ceil(best.needed / question.peak / 2)) + best.spare
    scaling = Autoscaling(least=min(least, best.copies), most=best.copies)
    moving = Fleet(
        replica=fleet.replica, replicas=scaling.least, gateway=fleet.gateway, autoscaling=scaling
    )
    outcome = simulate(traffic, moving, question.seed, most_requests=_MOST_REQUESTS)
    price = best.option.card.usd_per_hour
    return Scaled(
        least=scaling.least,
        most=scaling.most,
        outcome=outcome,
        holds=kept(outcome, traffic),
        usd_per_day=None if price is None else Span(
            price.low * outcome.gpu_hours, price.high * outcome.gpu_hours
        ),
    )  # fmt: skip


_WORTH = 3
"""Copies from which on an autoscaled day is simulated."""
