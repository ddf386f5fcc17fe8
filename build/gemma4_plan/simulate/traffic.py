"""What comes in: requests over the day, their lengths, and what they have to keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gemma4_load.workloads.lengths import Length

from gemma4_plan.errors import BadQuestionError

__all__ = ["DAY_S", "Slos", "Traffic", "day_rates"]

DAY_S = 86_400.0
"""Seconds of a day."""

Rates = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slos:
    """Seconds that one request may take to its first token, between two tokens (the mean of its
    answer, as ``gemma4 load`` has it) and to its end. None is no limit. ``attainment`` is the share
    of all requests that has to keep them, the refused ones included."""

    ttft_s: float | None = None
    itl_s: float | None = None
    e2e_s: float | None = None
    attainment: float = 0.95

    def __post_init__(self) -> None:
        for name in ("ttft_s", "itl_s", "e2e_s"):
            limit = getattr(self, name)
            if limit is not None and not (limit > 0 and math.isfinite(limit)):
                option = f"--{name[:-2]}-ms"
                raise BadQuestionError(
                    f"{option} {limit * 1e3:g}: must be above 0; nothing answers at once"
                )
        if not 0 < self.attainment <= 1:
            raise BadQuestionError(
                f"--attainment {self.attainment:g}: must be above 0 and at most 1, such as 0.95"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Exactly one of ``rates``, ``users`` and ``trace``, or ``users`` who ask the requests of a
    ``trace`` in their order, whatever its times, and again from the first.

    ``rates`` is an open loop of Poisson arrivals: (seconds since the start, requests/s), with
    straight lines between the points; it ends at the last point (:func:`day_rates` makes a day).
    ``users`` is a closed loop: each asks again when it is answered, for ``seconds``. ``trace`` are
    the lines of :func:`gemma4_load.workloads.trace.read_trace`, each once, at the times it has,
    faster by ``speed``; with ``repeat`` it is begun again until ``seconds`` are over.

    ``prompt`` and ``output`` are the tokens of a request (not used with a trace).
    ``shared_prefixes`` is how many groups of requests begin with the same ``prefix_tokens`` tokens
    each (system prompts); 0 is none. A request of a group asks for the replica that its group
    prefers. Figures are of what begins after the ``warmup`` seconds."""

    rates: Rates = ()
    users: int | None = None
    trace: Sequence[dict[str, Any]] = ()
    speed: float = 1.0
    repeat: bool = False
    seconds: float | None = None
    warmup: float = 0.0
    prompt: Length = field(default_factory=lambda: Length("fixed", 1024))
    output: Length = field(default_factory=lambda: Length("fixed", 512))
    shared_prefixes: int = 0
    prefix_tokens: int = 0
    slos: Slos = field(default_factory=Slos)

    def __post_init__(self) -> None:
        given = [bool(self.rates), self.users is not None, bool(self.trace)]
        if sum(given) != 1 and given != [False, True, True]:
            raise BadQuestionError("give one of --rate, --users and --trace")
        if self.rates:
            _check_rates(self.rates)
        if self.users is not None and self.users < 1:
            raise BadQuestionError(f"--users {self.users}: must be at least 1")
        if not self.speed > 0:
            raise BadQuestionError(f"--trace-speed {self.speed:g}: must be above 0; 2 is twice")
        if (self.users is not None or self.repeat) and not (self.seconds or 0) > 0:
            raise BadQuestionError("--seconds: needed here, and above 0, such as 600")
        if self.seconds is not None and not math.isfinite(self.seconds):
            raise BadQuestionError(f"--seconds {self.seconds:g}: must be a number, such as 600")
        if not 0 <= self.warmup < self.length_s:
            raise BadQuestionError(
                f"--warmup {self.warmup:g}: must be below the {self.length_s:g} s that are "
                "simulated; make it shorter"
            )

    @property
    def length_s(self) -> float:
        """Seconds in which requests are sent."""
        if self.rates:
            return self.rates[-1][0]
        if self.users is not None or self.repeat:
            return self.seconds or 0.0
        first, last = (float(self.trace[at]["timestamp"]) for at in (0, -1))
        span = (last - first) / 1e3 / self.speed
        return max(span, 1e-3) if self.seconds is None else min(max(span, 1e-3), self.seconds)

    @property
    def mean_rate(self) -> float:
        """Requests/s, the mean of ``rates`` or of the trace; nan for a closed loop."""
        if self.rates:
            area = sum(
                (right - left) * (low + high) / 2
                for (left, low), (right, high) in pairwise(self.rates)
            )
            return area / self.length_s
        return math.nan if self.users is not None else len(self.trace) / self.length_s


def _check_rates(rates: Rates) -> None:
    if len(rates) < 2 or rates[0][0] != 0:
        raise BadQuestionError("rates: must have two points or more, the first at 0 s")
    if not math.isfinite(rates[-1][0]):
        raise BadQuestionError(f"--seconds {rates[-1][0]:g}: must be a number, such as 600")
    for (before, _), (after, _) in pairwise(rates):
        if not after > before:
            raise BadQuestionError(f"rates: {after:g} s is not after {before:g} s; sort them")
    for at, rate in rates:
        if not (rate >= 0 and math.isfinite(rate)):
            raise BadQuestionError(f"--rate {rate:g} (at {at:g} s): must not be negative")
    if not any(rate for _, rate in rates):
        raise BadQuestionError("--rate 0: nothing would be sent; give requests/s, such as 2")


def day_rates(mean: float, *, peak: float = 1.0, peak_hour: float = 15.0) -> Rates:
    """Return a day of ``mean`` requests/s whose busiest minute, at ``peak_hour``, has ``peak``
    times as many. ``peak`` 1 is the same all day. The form is ``floor + (top - floor) * bump``,
    where ``bump`` is ``exp(k * (cos(angle) - 1))``, the angle one turn a day, ``floor`` a tenth of
    the mean, and ``k`` what keeps the mean. Raises :class:`BadQuestionError`."""
    if not (mean > 0 and math.isfinite(mean)):
        raise BadQuestionError(f"--rate {mean:g}: must be above 0 requests/s, such as 2")
    if not 1 <= peak <= _MOST_PEAK:
        raise BadQuestionError(
            f"--peak {peak:g}: the busiest minute against the mean; must be 1 to {_MOST_PEAK}"
        )
    minutes = range(0, 1441, 5)
    if peak == 1:
        return ((0.0, mean), (DAY_S, mean))
    angles = [2 * math.pi * (minute / 60 - peak_hour) / 24 for minute in minutes]
    floor = min(0.1, 1 / peak)
    wanted = (1 - floor) / (peak - floor)  # the mean of the bump
    low, high = 0.0, 1e4
    for _ in range(80):
        middle = (low + high) / 2
        bumps = [math.exp(middle * (math.cos(angle) - 1)) for angle in angles[:-1]]
        low, high = (middle, high) if sum(bumps) / len(bumps) > wanted else (low, middle)
    return tuple(
        (minute * 60.0, mean * (floor + (peak - floor) * math.exp(low * (math.cos(angle) - 1))))
        for minute, angle in zip(minutes, angles, strict=True)
    )


_MOST_PEAK = 20
"""Times the mean; beyond it the busy time is shorter than the points of the day are apart."""
