"""The question of ``gemma4 plan capacity``, checked, and the traffic that it means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gemma4_load.workloads.lengths import Length

from gemma4_plan.errors import BadQuestionError
from gemma4_plan.fleet.lengths import longest, mean
from gemma4_plan.fleet.requests import check_lengths, check_trace
from gemma4_plan.model import published_model
from gemma4_plan.options import MOST_STREAMS, FitQuestion
from gemma4_plan.simulate import DAY_S, Slos, Traffic, day_rates

__all__ = ["CapacityQuestion"]

_LEAST_WINDOW_S, _MOST_WINDOW_S, _MEASURED = 60.0, 86_400.0, 3_000
"""Seconds of the busiest time that are simulated for one answer of the search, between the first
two; as many as :data:`_MEASURED` requests take."""

_DAY_REQUESTS, _LEAST_DAY_S = 60_000, 1800.0
"""Requests of a simulated day, and the fewest seconds that it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityQuestion:
    """Exactly one of ``rate`` (requests/s, the mean of a day), ``users`` (people who are active at
    the busiest time, each of whom asks every ``every`` seconds) and ``trace`` (checked lines).
    ``peak`` is the busiest minute of the day against its mean. ``ttft_ms`` and ``itl_ms`` are p95.
    ``spare`` copies more than are needed; ``max_gpus`` are all that there are. ``cautious``: the
    slow end of the estimate must hold. ``experimental``: what the table of compatibility calls so
    may be chosen too, as it may be where a precision is named. ``catalog`` is the file of
    one's own whose GPUs are meant, for the commands that are printed."""

    prompt: Length
    output: Length
    rate: float | None = None
    users: int | None = None
    every: float | None = None
    trace: Sequence[dict[str, Any]] = ()
    trace_speed: float = 1.0
    peak: float = 1.0
    ttft_ms: float | None = None
    itl_ms: float | None = None
    gpu: str | None = None
    precision: str | None = None
    usd_per_hour: float | None = None
    max_streams: int = MOST_STREAMS
    max_gpus: int | None = None
    spare: int = 1
    cautious: bool = False
    experimental: bool = False
    seed: int = 0
    catalog: str = ""

    def __post_init__(self) -> None:
        given = [self.rate is not None, self.users is not None, bool(self.trace)]
        if sum(given) != 1:
            raise BadQuestionError(
                "give one of --rate, --users and --trace; --rate 20 is 20 requests/s, the mean of "
                "a day"
            )
        if self.ttft_ms is None and self.itl_ms is None:
            raise BadQuestionError(
                "give --ttft-ms, --itl-ms or both; without an SLO any fleet will do"
            )
        for option, value in (
            ("--rate", self.rate), ("--every", self.every), ("--trace-speed", self.trace_speed),
            ("--ttft-ms", self.ttft_ms), ("--itl-ms", self.itl_ms), ("--peak", self.peak),
        ):  # fmt: skip
            if value is not None and not 0 < value < math.inf:
                raise BadQuestionError(f"{option} {value:g}: must be a number above 0")
        if self.every is not None and self.users is None:
            raise BadQuestionError(f"--every {self.every:g}: needs --users, who ask so often")
        check_trace(self.trace, self.trace_speed)
        if self.trace and self.peak != 1:
            raise BadQuestionError(
                f"--peak {self.peak:g}: a trace has its own busy times; leave it out"
            )
        check_lengths(self.prompt, self.output)
        self.fit()  # checks the rest
        if not self.trace:
            day_rates(self.mean_rate, peak=self.peak)

    @property
    def users_every(self) -> float:
        """Seconds between two questions of a user."""
        return 60.0 if self.every is None else self.every

    @property
    def mean_rate(self) -> float:
        """Requests/s, the mean of the day or of the trace."""
        if self.trace:
            return self.day().mean_rate
        if self.users is not None:
            return self.users / self.users_every / self.peak
        return self.rate or 0.0

    @property
    def peak_rate(self) -> float:
        """Requests/s of the busiest minute."""
        if not self.trace:
            return self.mean_rate * self.peak
        times = [float(line["timestamp"]) / 1e3 / self.trace_speed for line in self.trace]
        most, first = 1, 0
        for last, time in enumerate(times):
            while times[first] < time - 60:
                first += 1
            most = max(most, last - first + 1)
        return most / min(60.0, max(times[-1] - times[0], 1.0))

    @property
    def prompt_mean(self) -> float:
        """Tokens of a prompt."""
        if self.trace:
            return sum(int(line["input_length"]) for line in self.trace) / len(self.trace)
        return mean(self.prompt)

    @property
    def output_mean(self) -> float:
        """Tokens of an answer."""
        if self.trace:
            return sum(int(line["output_length"]) for line in self.trace) / len(self.trace)
        return mean(self.output)

    @property
    def longest(self) -> int:
        """Return the tokens of a request that an engine is built for: all of a trace fit, and of
        drawn lengths all but one in thousands."""
        if self.trace:
            found = max(
                int(line["input_length"]) + int(line["output_length"]) for line in self.trace
            )
        else:
            found = longest(self.prompt) + longest(self.output)
        return min(found, published_model().context)

    def slos(self) -> Slos:
        return Slos(
            ttft_s=None if self.ttft_ms is None else self.ttft_ms / 1e3,
            itl_s=None if self.itl_ms is None else self.itl_ms / 1e3,
        )

    def fit(self) -> FitQuestion:
        """Return the question of one copy, of which every option of a fleet is an answer."""
        return FitQuestion(
            prompt=max(1, round(self.prompt_mean)), output=max(1, round(self.output_mean)),
            ttft_ms=self.ttft_ms, itl_ms=self.itl_ms, gpu=self.gpu, precision=self.precision,
            usd_per_hour=self.usd_per_hour, cautious=self.cautious, max_streams=self.max_streams,
        )  # fmt: skip

    def day(self, shorter: float = 1.0) -> Traffic:
        """Return a whole day, or the trace. ``shorter``: a day of so many times fewer seconds, with
        the same rates."""
        if self.trace:
            return Traffic(trace=self.trace, speed=self.trace_speed, slos=self.slos())
        rates = day_rates(self.mean_rate, peak=self.peak)
        return self._drawn(tuple((time / shorter, rate) for time, rate in rates))

    @property
    def shorter(self) -> float:
        """How much shorter a simulated day is than a real one: so much that
        :data:`_DAY_REQUESTS` come, and no more than to half an hour. An answer takes seconds, so
        that each time of the shorter day is as each of the whole one."""
        if self.trace:
            return 1.0
        return DAY_S / min(DAY_S, max(_LEAST_DAY_S, _DAY_REQUESTS / self.mean_rate))

    def busiest(self, share: float = 1.0) -> Traffic:
        """Return the busiest time, at ``share`` of its rate, long enough for percentiles; of a
        trace all of it, faster by the share."""
        if self.trace:
            return replace(self.day(), speed=self.trace_speed * share)
        rate = self.peak_rate * share
        limit = self.itl_ms or (self.ttft_ms or 0.0) / 10
        warmup = min(3_600.0, max(30.0, 2 * limit / 1e3 * self.output_mean))
        window = min(_MOST_WINDOW_S, max(_LEAST_WINDOW_S, _MEASURED / rate))
        return replace(self._drawn(((0.0, rate), (warmup + window, rate))), warmup=warmup)

    def _drawn(self, rates: tuple[tuple[float, float], ...]) -> Traffic:
        return Traffic(rates=rates, prompt=self.prompt, output=self.output, slos=self.slos())

    @property
    def tokens_per_day(self) -> float:
        """Output tokens."""
        return self.mean_rate * DAY_S * self.output_mean
