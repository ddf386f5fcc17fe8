"""Values of metrics, counted in this process without a system call."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat
from threading import Lock

import numpy as np

from gemma4_runtime.metrics.families import Family

__all__ = ["Distribution", "Sample", "Store"]

Sample = tuple[Family, str, tuple[str, ...], float]
"""A family, what follows its name (``_bucket``, ``_sum``, ``_count`` of a histogram, else ""), the
values of its labels (the bucket's bound last), and the value."""


_MOST = 1 << 20
"""Values that wait at most. They are put into buckets once a second; where nobody does that any
more, the oldest are dropped."""


class Distribution:
    """The values of one histogram. Thread-safe. A value is only kept when it comes, and put into
    its bucket together with others: one by one that takes five times the CPU."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._buckets = np.array(family.buckets)
        self._waiting: deque[float] = deque(maxlen=_MOST)
        self.put: Callable[[float], None] = self._waiting.append
        """Put one value in: :meth:`observe` for what does so with every token."""
        self._bounds = [*map(_bound_text, family.buckets), "+Inf"]
        self._lock = Lock()
        self._counts = np.zeros(len(self._bounds), np.int64)
        self._sum = 0.0
        self._changed = True

    def observe(self, value: float, times: int = 1) -> None:
        """Put ``value`` in, ``times`` times."""
        self._waiting.extend(repeat(value, times))

    def settle(self) -> None:
        """Put what waits into buckets."""
        if not self._waiting:
            return
        with self._lock:
            take = self._waiting.popleft
            if values := [take() for _ in range(len(self._waiting))]:
                places = np.searchsorted(self._buckets, values)
                self._counts += np.bincount(places, minlength=self._counts.size)
                self._sum += math.fsum(values)
                self._changed = True

    def samples(self, *, only_changed: bool) -> list[Sample]:
        """Return all, as in the text format: buckets that include the smaller ones, sum and count.
        With ``only_changed``: none if nothing came since the last such call."""
        self.settle()
        with self._lock:
            if only_changed and not self._changed:
                return []
            self._changed = self._changed and not only_changed
            totals, total_sum = np.cumsum(self._counts).tolist(), self._sum
        found: list[Sample] = [
            (self._family, "_bucket", (bound,), float(total))
            for bound, total in zip(self._bounds, totals, strict=True)
        ]
        found.append((self._family, "_sum", (), total_sum))
        found.append((self._family, "_count", (), float(totals[-1])))
        return found


class Store:
    """Thread-safe. A counter and a gauge without labels, and every histogram, is there from the
    start with 0, so that a rate over it is known from the first scrape on; but for late gauges."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._lock = Lock()
        self._families = {family.name: family for family in families}
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self._distributions: dict[str, Distribution] = {}
        for family in self._families.values():
            if family.kind == "histogram":
                assert not family.labels, f"{family.name}: histograms have no labels here"
                self._distributions[family.name] = Distribution(family)
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

    def distribution(self, name: str) -> Distribution:
        """Return a histogram; what observes often keeps it."""
        return self._distributions[name]

    def observe(self, name: str, value: float, times: int = 1) -> None:
        """Put ``value`` into a histogram, ``times`` times."""
        self._distributions[name].observe(value, times)

    def settle(self) -> None:
        """Put the values of all histograms into their buckets; call it once a second or so."""
        for distribution in self._distributions.values():
            distribution.settle()

    def samples(self) -> list[Sample]:
        """Return all values."""
        return self.plain_samples() + [
            sample
            for distribution in self._distributions.values()
            for sample in distribution.samples(only_changed=False)
        ]

    def plain_samples(self) -> list[Sample]:
        """Return all values of counters and gauges."""
        with self._lock:
            return [
                (self._families[name], "", labels, value)
                for name, values in self._values.items()
                for labels, value in values.items()
            ]

    def changed_distributions(self) -> list[Sample]:
        """Return the values of the histograms that have changed since the last call."""
        return [
            sample
            for distribution in self._distributions.values()
            for sample in distribution.samples(only_changed=True)
        ]


def _bound_text(bound: float) -> str:
    """Return a bucket's bound as Prometheus's client libraries write it: ``0.5``, ``1.0``."""
    return repr(float(bound))
