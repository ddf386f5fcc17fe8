"""Counts and distributions of a simulation, in memory that does not grow with the requests."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gemma4_plan.simulate.outcome import Percentiles

__all__ = ["INTERVALS", "Distributions", "intervals_of"]

INTERVALS = 96
"""Parts of the simulated time for which figures are kept: a quarter of an hour of a day."""

_WIDTH = 0.002
"""Of a bin, in natural logarithms: two thousandths of the value."""
_LEAST = 1e-6  # seconds
_BINS = math.ceil(math.log(1e12) / _WIDTH)


def intervals_of(seconds: float) -> tuple[int, float]:
    """Return how many intervals the time has, and the seconds of one."""
    count = max(1, min(INTERVALS, math.floor(seconds)))
    return count, seconds / count


class Distributions:
    """Seconds, for each of ``intervals`` and over all of them. Values below a microsecond count as
    one."""

    def __init__(self, intervals: int) -> None:
        self._intervals = intervals
        self._counts = np.zeros((intervals, _BINS), dtype=np.int32)
        self._sums = np.zeros(intervals)

    def add(self, at: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> None:
        """Count values, each in the interval that ``at`` has for it."""
        bins = np.floor(np.log(np.maximum(values, _LEAST) / _LEAST) / _WIDTH).astype(np.int64)
        np.add.at(self._counts, (at, np.minimum(bins, _BINS - 1)), 1)
        np.add.at(self._sums, at, values)

    def of(self, interval: int) -> Percentiles:
        """Return the percentiles of one interval."""
        return _percentiles(self._counts[interval], float(self._sums[interval]))

    def all(self) -> Percentiles:
        """Return the percentiles of all of them."""
        return _percentiles(self._counts.sum(axis=0, dtype=np.int64), float(self._sums.sum()))


def _percentiles(
    counts: npt.NDArray[np.int32] | npt.NDArray[np.int64], total: float
) -> Percentiles:
    count = int(counts.sum())
    if not count:
        return Percentiles(0, *[math.nan] * 5)
    ends = np.cumsum(counts)

    def at(rank: float) -> float:
        """Return what is between the two values next to a rank, as numpy.percentile and so gemma4
        load have it."""
        rank = min(max(rank, 0.0), count - 1.0)
        low, high = np.searchsorted(ends, (math.floor(rank), math.ceil(rank)), side="right")
        below, above = (_LEAST * math.exp((int(place) + 0.5) * _WIDTH) for place in (low, high))
        return below + (above - below) * (rank - math.floor(rank))

    ranks = [share * (count - 1) for share in (0.5, 0.9, 0.95, 0.99)]
    beside = 1.96 * math.sqrt(count * 0.95 * 0.05)
    p50, p90, p95, p99 = map(at, ranks)
    return Percentiles(
        count, total / count, p50, p90, p95, p99,
        p95_low=at(ranks[2] - beside), p95_high=at(ranks[2] + beside),
    )  # fmt: skip
