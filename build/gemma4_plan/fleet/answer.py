"""The cheapest fleet, its day, its cost and its hosts."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace

from gemma4_plan.catalog import Catalog
from gemma4_plan.deploy.chosen import Chosen
from gemma4_plan.fleet.question import CapacityQuestion
from gemma4_plan.fleet.search import Candidate, Found, search
from gemma4_plan.fleet.sizing import Sizing
from gemma4_plan.host.costs import HostCosts, host_costs
from gemma4_plan.simulate import Autoscaling, Fleet, Outcome, Traffic, simulate
from gemma4_plan.span import Span
from gemma4_plan.speed.fitted import Fitted

__all__ = ["Answer", "Scaled", "answer", "usd_per_million"]

_MOST_REQUESTS = 60_000
"""Requests that a simulated day has, where replicas can be left out."""

_DAY_H = 24.0
"""Hours of a day, for rents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """The same day where the chart's autoscaling keeps ``least`` to ``most`` copies: what it costs.
    In a shorter day copies start sooner too, so its latencies while they start are no answer;
    ``check`` is the command that simulates them."""

    least: int
    most: int
    outcome: Outcome
    usd_per_day: Span | None
    check: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``day`` is a day, or the trace, on all copies; a day is ``shorter`` than a real one. Costs
    are dollars, None without a price; ``usd_per_million`` is for 10^6 output tokens of that day."""

    question: CapacityQuestion
    found: Found
    day: Outcome
    traffic: Traffic
    shorter: float
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
    shorter = question.shorter
    traffic = question.day(shorter)
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
        shorter=shorter,
        usd_per_day=per_day,
        usd_per_million=usd_per_million(per_day, question.tokens_per_day),
        scaled=_scaled(question, best, fleet, traffic, shorter, tick),
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
    shorter: float,
    tick: Callable[[str], None],
) -> Scaled | None:
    """Simulate the day with autoscaling; None where there is nothing to save, or no day."""
    if question.trace or question.peak <= 1 or best.copies < _WORTH:
        return None
    tick("the same day with autoscaling")
    least = max(1, math.ceil(best.needed / question.peak / 2)) + best.spare
    least = min(least, best.copies)
    usual = Autoscaling(least=least, most=best.copies)
    scaling = replace(
        usual, start_s=usual.start_s / shorter, poll_s=usual.poll_s / shorter,
        down_after_s=usual.down_after_s / shorter,
        down_per_minute=usual.down_per_minute * shorter,
    )  # fmt: skip
    moving = replace(fleet, replicas=least, autoscaling=scaling)
    outcome = simulate(traffic, moving, question.seed, most_requests=_MOST_REQUESTS)
    price, hours = best.option.card.usd_per_hour, outcome.gpu_hours * shorter
    return Scaled(
        least=least,
        most=best.copies,
        outcome=outcome,
        usd_per_day=None if price is None else Span(price.low * hours, price.high * hours),
        check=_check(question, best, least),
    )


def _check(question: CapacityQuestion, best: Candidate, least: int) -> str:
    """Return the command that simulates the day in full."""
    split = best.option.split
    words = [
        f"gemma4 plan simulate --rate {question.mean_rate:.4g} --peak {question.peak:g}",
        f"--prompt-tokens {question.prompt} --output-tokens {question.output}",
        *(f"--{name}-ms {limit:g}" for name, limit in (
            ("ttft", question.ttft_ms), ("itl", question.itl_ms)
        ) if limit is not None),
        f"--gpu {best.option.gpu} --precision {split.precision} --tp {split.tp} --ep {split.ep}",
        f"--slots {best.option.streams} --replicas {least} --min-replicas {least}",
        f"--max-replicas {best.copies}",
        *((f"--catalog {shlex.quote(question.catalog)}",) if question.catalog else ()),
    ]  # fmt: skip
    return " ".join(words)


_WORTH = 3
"""Copies from which on an autoscaled day is simulated."""
