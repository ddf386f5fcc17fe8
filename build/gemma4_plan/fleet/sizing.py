"""How many copies of one option hold the SLOs, found by simulating them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from gemma4_plan.fleet.question import CapacityQuestion
from gemma4_plan.fleet.replica import replica_of
from gemma4_plan.fleet.steps import End
from gemma4_plan.host.costs import host_costs
from gemma4_plan.options import Option
from gemma4_plan.simulate import Fleet, Gateway, Outcome, Replica, Traffic, simulate
from gemma4_plan.speed.fitted import Fitted

__all__ = ["LOST", "Sizing", "kept", "misses"]

LOST = 0.001
"""Share of the requests that may be refused or lost."""

_MOST_REQUESTS = 12_000
"""Requests that one answer of the search simulates, where replicas can be left out."""

_MOST_TIMES = 64
"""Times the least number of copies; what needs more than that fails for another reason."""


def misses(outcome: Outcome, traffic: Traffic) -> dict[str, float]:
    """Return by which factor each SLO is missed: ``ttft``, ``itl`` (p95) and ``lost``, those that
    are kept left out."""
    found = {}
    for name, limit, times in (
        ("ttft", traffic.slos.ttft_s, outcome.ttft), ("itl", traffic.slos.itl_s, outcome.itl)
    ):  # fmt: skip
        if limit is not None and not times.p95 <= limit:
            found[name] = times.p95 / limit
    gone = sum(outcome.refused.values()) + outcome.failed
    if outcome.arrived and gone / outcome.arrived > LOST:
        found["lost"] = gone / outcome.arrived / LOST
    return found


def kept(outcome: Outcome, traffic: Traffic) -> bool:
    """Return whether p95 of TTFT and ITL hold and hardly anything is lost."""
    return not misses(outcome, traffic)


@dataclass(slots=True)
class Sizing:
    """Fleets of one ``option`` at one ``end`` of the estimate. ``tick`` is told of every
    simulation."""

    question: CapacityQuestion
    option: Option
    fitted: Fitted
    end: End = "middle"
    tick: Callable[[str], None] = field(default=lambda _: None)
    _seen: dict[int, Outcome] = field(default_factory=dict)

    def replica(self) -> Replica:
        option, asked = self.option, self.question
        return replica_of(
            option.gpu, option.card, option.split, self.fitted, slots=option.streams,
            prompt=asked.prompt_mean, output=asked.output_mean, end=self.end,
        )  # fmt: skip

    def fleet(self, copies: int, *, share: float = 1.0) -> Fleet:
        """Return ``copies`` with as many gateways as the hosts' costs ask for."""
        asked = self.question
        rate = asked.peak_rate * max(share, 1.0)
        host = host_costs(
            requests_per_s=rate, prompt=asked.prompt_mean, output=asked.output_mean, copies=copies,
            at_once=min(copies * self.option.streams, rate * self._answer_s() * 2),
        )  # fmt: skip
        return Fleet(
            replica=self.replica(), replicas=copies, gateway=Gateway(gateways=host.gateways + 1)
        )

    def _answer_s(self) -> float:
        asked, option = self.question, self.option
        itl = asked.itl_ms or option.itl_ms.high
        return (asked.output_mean * itl + (asked.ttft_ms or option.ttft_ms.high)) / 1e3

    def least(self) -> int:
        """Return the copies below which the tokens alone are too many, at this end."""
        ends = {"fast": self.option.tokens_per_s.high, "slow": self.option.tokens_per_s.low}
        speed = ends.get(self.end, self.option.middle)
        rate = self.question.mean_rate if self.question.trace else self.question.peak_rate
        return max(1, math.ceil(rate * self.question.output_mean / speed * 0.9))

    def idle(self) -> int:
        """Return so many copies that each has hardly anything to do."""
        return self.least() * _MOST_TIMES

    def run(self, copies: int) -> Outcome:
        """Simulate the busiest time with ``copies``."""
        if copies not in self._seen:
            self.tick(f"{self.option.card.product} {self.option.split.precision}: {copies} copies")
            self._seen[copies] = simulate(
                self.question.busiest(), self.fleet(copies), self.question.seed,
                most_requests=_MOST_REQUESTS,
            )  # fmt: skip
        return self._seen[copies]

    def holds(self, copies: int) -> bool:
        return kept(self.run(copies), self.question.busiest())

    def smallest(self, most: float = math.inf) -> int | None:
        """Return the fewest copies that hold, up to ``most``; None where those do not."""
        low = self.least() - 1  # does not hold
        bound = min(most, self.idle())
        if low + 1 > bound:
            return None
        if not self.holds(int(bound)):  # cheap where they hardly work
            return None
        high = low + 1
        while not self.holds(high):
            low = high
            high = int(min(bound, math.ceil(high * 1.5)))
        while high - low > max(1, high // 200):
            middle = (low + high) // 2
            low, high = (low, middle) if self.holds(middle) else (middle, high)
        return high
