"""Values of metrics, counted in this process without a system call."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from threading import Lock

from gemma4_runtime.metrics.families import Family

__all__ = ["Sample", "Store"]

Sample = tuple[Family, str, tuple[str, ...], float]
"""A family, what follows its name (``_bucket``, ``_sum``, ``_count`` of a histogram, else ""), the
values of its labels (the bucket's bound last), and the value."""


class _Histogram:
    def __init__(self, buckets: Sequence[float]) -> None:
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0


class Store:
    """Thread-safe. A counter and a gauge without labels, and every histogram, is there from the
    start with 0, so that a rate over it is known from the first scrape on; but for late gauges."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._lock = Lock()
        self._families = {family.name: family for family in families}
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[str, _Histogram] = {}
        for family in self._families.values():
            if family.kind == "histogram":
                assert not family.labels, f"{family.name}: histograms have no labels here"
                self._histograms[family.name] = _Histogram(family.buckets)
            else:
                self._values[family.name] = {} if family.labels or family.late else {(): 0.0}

    def add(self, name: str, amount: float = 1.0, *labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            values = self._values[name]
            values[labels] = values.get(labels, 0.0) + amount

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge, or a counter that is counted elsewhere."""
        with self._lock:
            self._values[name][labels] = value

    def observe(self, name: str, value: float, times: int = 1) -> None:
        """Put ``value`` into a histogram, ``times`` times."""
        place = bisect_left(self._families[name].buckets, value)
        with self._lock:
            histogram = self._histograms[name]
            histogram.counts[place] += times
            histogram.sum += value * times

    def samples(self) -> list[Sample]:
        """Return all values, those of a histogram as in the text format: buckets that include the
        smaller ones, sum and count."""
        found: list[Sample] = []
        with self._lock:
            for name, family in self._families.items():
                if family.kind == "histogram":
                    found += _expanded(family, self._histograms[name])
                else:
                    found += [
                        (family, "", labels, value) for labels, value in self._values[name].items()
                    ]
        return found


def _expanded(family: Family, histogram: _Histogram) -> list[Sample]:
    found: list[Sample] = []
    total = 0
    bounds = [*map(_bound_text, family.buckets), "+Inf"]
    for bound, count in zip(bounds, histogram.counts, strict=True):
        total += count
        found.append((family, "_bucket", (bound,), float(total)))
    found.append((family, "_sum", (), histogram.sum))
    found.append((family, "_count", (), float(total)))
    return found


def _bound_text(bound: float) -> str:
    """Return a bucket's bound as Prometheus's client libraries write it: ``0.5``, ``1.0``."""
    return repr(float(bound))
