"""The books of a simulation."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from gemma4_plan.simulate.request import Request
from gemma4_plan.simulate.tally import Distributions, intervals_of
from gemma4_plan.simulate.traffic import Traffic

__all__ = ["Ledger"]

_AREAS = ("running", "waiting", "held", "busy", "paid", "ready")
_BUFFER = 20_000
"""Answers whose latencies are kept before they are counted."""
_COUNTS = ("arrived", "ended", "refused", "failed", "kept", "tokens")


class Ledger:
    """Sums for each interval of the traffic's time. Areas are amount times seconds."""

    def __init__(self, traffic: Traffic) -> None:
        self.length = traffic.length_s
        self.warmup = traffic.warmup
        self.intervals, self.width = intervals_of(self.length)
        self.areas = {name: [0.0] * self.intervals for name in _AREAS}
        self.counts = {name: [0] * self.intervals for name in _COUNTS}
        self._running, self._held = self.areas["running"], self.areas["held"]
        self._busy, self._tokens = self.areas["busy"], self.counts["tokens"]
        self.refusals: Counter[str] = Counter()
        self.ttft = Distributions(self.intervals)
        self.itl = Distributions(self.intervals)
        self.e2e = Distributions(1)
        self.queue = Distributions(1)
        self._answers: list[tuple[int, float, float, float, float]] = []
        self.arrived = self.completed = self.failed = self.kept = 0
        self.prompt_tokens = self.cached_tokens = self.output_tokens = 0
        self.generated = 0
        self.in_window = 0.0
        slos = traffic.slos
        self._ttft_s = math.inf if slos.ttft_s is None else slos.ttft_s
        self._itl_s = math.inf if slos.itl_s is None else slos.itl_s
        self._e2e_s = math.inf if slos.e2e_s is None else slos.e2e_s

    def at(self, time: float) -> int:
        """Return the interval of a time; what comes after the end counts for the last."""
        return min(int(time / self.width), self.intervals - 1)

    def came(self, request: Request) -> None:
        """Count an arrival."""
        self.counts["arrived"][self.at(request.arrived)] += 1
        self.arrived += request.measured

    def refused(self, request: Request, reason: str) -> None:
        """Count a request that nobody took."""
        self.counts["refused"][self.at(request.arrived)] += 1
        if request.measured:
            self.refusals[reason] += 1

    def lost(self, request: Request) -> None:
        """Count a request that a replica took and lost."""
        self.counts["failed"][self.at(request.arrived)] += 1
        self.failed += request.measured

    def ended(self, request: Request, now: float) -> None:
        """Count a whole answer."""
        at, output = self.at(request.arrived), request.output
        self.counts["ended"][self.at(now)] += 1
        ttft, e2e = request.first - request.arrived, now - request.arrived
        itl = (now - request.first) / (output - 1) if output > 1 else 0.0
        kept = ttft <= self._ttft_s and itl <= self._itl_s and e2e <= self._e2e_s
        self.counts["kept"][at] += kept
        if not request.measured:
            return
        self.completed += 1
        self.kept += kept
        self.prompt_tokens += request.prompt
        self.cached_tokens += request.cached
        self.output_tokens += output
        wait = request.started - request.arrived
        self._answers.append((at, ttft, itl if output > 1 else math.nan, e2e, wait))
        if len(self._answers) >= _BUFFER:
            self.count()

    def count(self) -> None:
        """Put the latencies of the latest answers into their distributions."""
        if not self._answers:
            return
        values = np.array(self._answers)
        self._answers.clear()
        at = values[:, 0].astype(np.int64)
        several = ~np.isnan(values[:, 2])
        self.ttft.add(at, values[:, 1])
        self.itl.add(at[several], values[several, 2])
        self.e2e.add(at * 0, values[:, 3])
        self.queue.add(at * 0, values[:, 4])

    def steps(self, began: float, now: float, *, running: int, held: float, tokens: int) -> None:
        """Count steps of an engine."""
        self.generated += tokens
        at = int(now / self.width)
        if began >= self.warmup and now < self.length and int(began / self.width) == at:
            seconds = now - began
            self._tokens[at] += tokens
            self.in_window += tokens
            self._running[at] += running * seconds
            self._held[at] += held * seconds
            self._busy[at] += seconds
            return
        self._tokens[self.at(now)] += tokens
        inside = min(now, self.length) - max(began, self.warmup)
        if inside > 0:
            self.in_window += tokens * (inside / (now - began))
        for at, seconds in self._parts(began, now):
            self._running[at] += running * seconds
            self._held[at] += held * seconds
            self._busy[at] += seconds

    def area(self, name: str, amount: float, began: float, now: float) -> None:
        """Count ``amount`` of something from ``began`` to ``now``."""
        area = self.areas[name]
        if now < self.length and (place := int(now / self.width)) == int(began / self.width):
            area[place] += amount * (now - began)
            return
        for at, seconds in self._parts(began, now):
            area[at] += amount * seconds

    def _parts(self, began: float, now: float) -> list[tuple[int, float]]:
        """Cut a time at the ends of intervals; return the seconds in each."""
        now = min(now, self.length)
        if now <= began:
            return []
        first, last = self.at(began), self.at(now)
        if first == last:
            return [(first, now - began)]
        edges = [began, *(self.width * i for i in range(first + 1, last + 1)), now]
        return [(first + i, float(seconds)) for i, seconds in enumerate(np.diff(edges).tolist())]
