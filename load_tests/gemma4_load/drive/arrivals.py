"""When an open loop sends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gemma4_load.errors import OptionError

__all__ = ["ARRIVALS", "Rate", "arrivals", "parse_rate"]

ARRIVALS = ("constant", "poisson", "gamma")


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests/s, from ``begin`` to ``end`` in a straight line over the run."""

    begin: float
    end: float

    @property
    def label(self) -> str:
        if self.begin == self.end:
            return f"{self.begin:g}/s"
        return f"{self.begin:g} to {self.end:g}/s"

    def time_of(self, count: float, seconds: float) -> float:
        """Return when ``count`` requests are due: the inverse of their number up to t, ``begin * t
        + (end - begin) * t**2 / (2 * seconds)``. Infinite when never."""
        slope = (self.end - self.begin) / seconds
        if slope == 0:
            return count / self.begin
        under = self.begin**2 + 2 * slope * count
        return (math.sqrt(under) - self.begin) / slope if under >= 0 else math.inf


def parse_rate(text: str) -> Rate:
    """Parse ``R`` or ``FROM:TO``. Raises :class:`OptionError`."""
    try:
        values = [float(part) for part in text.split(":")]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(math.isfinite(value) for value in values):
        raise OptionError(f"--rate {text}: use requests/s, or FROM:TO for a ramp")
    rate = Rate(values[0], values[-1])
    if min(values) < 0 or max(values) <= 0 or (len(values) == 1 and values[0] <= 0):
        raise OptionError(f"--rate {text}: must be more than 0 requests/s")
    if max(values) > 100_000:
        raise OptionError(f"--rate {text}: one process cannot send so many; at most 100000")
    return rate


def arrivals(
    rate: Rate, seconds: float, *, kind: str = "poisson", burstiness: float = 1.0, seed: int = 0
) -> Iterator[float]:
    """Give the seconds at which requests are due, rising, below ``seconds``. Gaps in units of the
    mean: ``constant`` 1; ``poisson`` exponential; ``gamma`` of shape ``burstiness`` and mean 1,
    whose coefficient of variation is ``1 / sqrt(burstiness)`` (1: Poisson; below: bursts; vLLM's
    definition). They are laid on the ramp by :meth:`Rate.time_of`, so the expected number up to any
    time is the ramp's."""
    rng = np.random.default_rng([seed, 1])
    count = 0.0
    while True:
        if kind == "constant":
            count += 1.0
        elif kind == "poisson":
            count += float(rng.exponential())
        else:
            count += float(rng.gamma(burstiness, 1 / burstiness))
        time = rate.time_of(count, seconds)
        if time >= seconds:
            return
        yield time
