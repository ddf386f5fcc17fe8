"""Values of metrics, counted in this process without a system call."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat
from threading import Lock

import numpy as np

from gemma4_runtime.metrics.families import Family

__all__ = ["LOOKS", "Distribution", "Sample", "Store"]

Sample = tuple[Family, str, tuple[str, ...], float]
"""A family, what follows its name (``_bucket``, ``_sum``, ``_count`` of a histogram, else ""), the
values of its labels (the bucket's bound last), and the value."""

LOOKS = 4
"""Turns of histograms after which any value is worth the 20 messages that its histogram takes."""
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
        self._unsent = 1  # values since they were last taken; at first the zeros
        self._unsent_before = 0  # at the last look
        self._looks = 0

    def observe(self, value: float, times: int = 1) -> None:
        """Put ``value`` in, ``times`` times."""
        self._waiting.extend(repeat(value, times))

    def settle(self) -> bool:
        """Put what waits into buckets; return whether anything did."""
        if not self._waiting:
            return False
        with self._lock:
            take = self._waiting.popleft
            if values := [take() for _ in range(len(self._waiting))]:
                places = np.searchsorted(self._buckets, values)
                self._counts += np.bincount(places, minlength=self._counts.size)
                self._sum += math.fsum(values)
                self._unsent += len(values)
        return True

    def due(self) -> bool:
        """Look whether it is worth while to send the values: not only a few have come, none has
        come since the last look, or it was put off for :data:`LOOKS` looks. A look is at a turn at
        which histograms may go."""
        self.settle()
        with self._lock:
            rests = self._unsent == self._unsent_before
            self._unsent_before = self._unsent
            self._looks += 1
            many = self._unsent >= self._family.few or self._looks >= LOOKS
            return bool(self._unsent) and (many or rests)

    def take(self) -> list[Sample]:
        """Return all samples if a value has come since the last call, else none."""
        self.settle()
        with self._lock:
            if not self._unsent:
                return []
            self._unsent = self._unsent_before = self._looks = 0
        return self.samples()

    def samples(self) -> list[Sample]:
        """Return all, as in the text format: buckets that include the smaller ones, sum and
        count."""
        self.settle()
        with self._lock:
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
        self._changed = {(name, labels) for name, of in self._values.items() for labels in of}

    def add(self, name: str, amount: float = 1.0, *labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            values = self._values[name]
            values[labels] = values.get(labels, 0.0) + amount
            self._changed.add((name, labels))

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge, or a counter that is counted elsewhere."""
        with self._lock:
            values = self._values[name]
            if values.get(labels) != value:
                values[labels] = value
                self._changed.add((name, labels))

    def distribution(self, name: str) -> Distribution:
        """Return a histogram; what observes often keeps it."""
        return self._distributions[name]

    def observe(self, name: str, value: float, times: int = 1) -> None:
        """Put ``value`` into a histogram, ``times`` times."""
        self._distributions[name].observe(value, times)

    def settle(self) -> bool:
        """Put the values of all histograms into their buckets; return whether any has come since
        the last call. Call it once a second or so."""
        came = [distribution.settle() for distribution in self._distributions.values()]
        return any(came)

    def samples(self) -> list[Sample]:
        """Return all values."""
        with self._lock:
            plain = self._plain({(n, labels) for n, of in self._values.items() for labels in of})
        distributions = self._distributions.values()
        return plain + [sample for each in distributions for sample in each.samples()]

    def take_plain(self) -> list[Sample]:
        """Return the counters and gauges that have changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
            return self._plain(changed)

    def take_distributions(self, *, only_due: bool) -> list[Sample]:
        """Return the values of the histograms that have changed since they were last returned; with
        ``only_due``, of those that are :meth:`Distribution.due`."""
        distributions = self._distributions.values()
        chosen = [each for each in distributions if not only_due or each.due()]
        return [sample for each in chosen for sample in each.take()]

    def _plain(self, keys: Iterable[tuple[str, tuple[str, ...]]]) -> list[Sample]:
        return [(self._families[n], "", labels, self._values[n][labels]) for n, labels in keys]


def _bound_text(bound: float) -> str:
    """Return a bucket's bound as Prometheus's client libraries write it: ``0.5``, ``1.0``."""
    return repr(float(bound))
