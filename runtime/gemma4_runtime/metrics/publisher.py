"""Hands the values of a store to Triton, whose endpoint ``/metrics`` then shows them.

Triton counts in its own process: each change of a value is a message there and back, 40 us (20 us
of CPU) in Triton 2.51. So values are counted here, and a thread of its own sends what has changed,
whatever the load: counters and gauges once a second, histograms every fifteen. One value more
changes most buckets of a histogram, since each bucket includes the smaller ones, so few values wait
for others: a histogram with less than 16 new ones (1,024 of times between tokens) goes when no more
come, after 60 s at the latest. All go at once when no histogram has had a new value for three
seconds, since the messages cost nothing that somebody waits for then.

The histograms go as counters (``NAME_bucket`` with ``le``, ``NAME_sum``, ``NAME_count``). Triton
has a kind for histograms, but it takes one observation at a time, which would be a message for
every token. The series and all queries over them are the same; only the comment ``# TYPE`` differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Any, Literal, Protocol

from gemma4_runtime.logs.events import log_event
from gemma4_runtime.metrics.families import Family
from gemma4_runtime.metrics.store import Sample, Store

__all__ = ["AT_REST", "HISTOGRAMS_EVERY", "INTERVAL_S", "Publisher"]

INTERVAL_S = 1.0
"""Between two updates. Prometheus asks every 5 to 60 s."""
HISTOGRAMS_EVERY = 15
"""Updates, of which one takes along the histograms that are due."""
AT_REST = 3
"""Updates without a new value in any histogram, of which the last takes along all histograms."""

Histograms = Literal["none", "due", "all"]


class Metric(Protocol):
    """``pb_utils.Metric``."""

    def increment(self, value: float) -> None: ...

    def set(self, value: float) -> None: ...


class MetricFamily(Protocol):
    """``pb_utils.MetricFamily``."""

    def Metric(self, *, labels: Mapping[str, str]) -> Metric: ...  # noqa: N802 - Triton's name


class Publisher:
    """Runs until :meth:`close`. ``make_family`` is ``pb_utils.MetricFamily``; ``refresh`` is called
    before each update, in the thread, to set gauges."""

    def __init__(
        self,
        store: Store,
        make_family: Any,
        *,
        refresh: Callable[[], None] = lambda: None,
        interval: float = INTERVAL_S,
    ) -> None:
        self._store = store
        self._make_family = make_family
        self._refresh = refresh
        self._interval = interval
        self._resting = 0  # updates since the last one that found a new value
        self._families: dict[str, MetricFamily] = {}
        self._metrics: dict[tuple[str, tuple[str, ...]], Metric] = {}
        self._sent: dict[tuple[str, tuple[str, ...]], float] = {}
        self._over = Event()
        self._works = self._tried()
        self._thread = Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def publish(self, histograms: Histograms = "all") -> None:
        """Send what has changed since the last time. ``histograms``: of which; the
        :data:`AT_REST`-th call without a new value sends all."""
        self._refresh()
        self._resting = 0 if self._store.settle() else self._resting + 1
        if self._resting == AT_REST:
            histograms = "all"
        for sample in self._store.take_plain():
            self._send(sample)
        if histograms != "none":
            for sample in self._store.take_distributions(only_due=histograms == "due"):
                self._send(sample)

    def close(self) -> None:
        """End the thread; Triton keeps the last values until the model is unloaded."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        turns = 0
        while self._works and not self._over.wait(self._interval):
            turns += 1
            self._works = self._tried("none" if turns % HISTOGRAMS_EVERY else "due")

    def _tried(self, histograms: Histograms = "all") -> bool:
        try:
            self.publish(histograms)
        except Exception as error:  # noqa: BLE001 - requests are served without metrics too
            log_event("metrics_stopped", level="error", error=repr(error))
            return False
        return True

    def _send(self, sample: Sample) -> None:
        family, suffix, labels, value = sample
        key = (family.name + suffix, labels)
        before = self._sent.get(key)
        if value == before:
            return
        metric = self._metrics.get(key)
        if metric is None:
            metric = self._metrics[key] = self._metric(family, suffix, labels)
        if family.kind == "gauge":
            metric.set(value)
        elif value:
            metric.increment(value - (before or 0.0))
        self._sent[key] = value

    def _metric(self, family: Family, suffix: str, labels: tuple[str, ...]) -> Metric:
        name = family.name + suffix
        if name not in self._families:
            kinds = self._make_family
            kind = kinds.GAUGE if family.kind == "gauge" else kinds.COUNTER
            self._families[name] = self._make_family(name=name, description=family.help, kind=kind)
        names = ("le",) if suffix == "_bucket" else family.labels
        return self._families[name].Metric(labels=dict(zip(names, labels, strict=True)))
