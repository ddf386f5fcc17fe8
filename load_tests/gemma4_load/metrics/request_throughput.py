"""Answers a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RunMetric, Slo, Unit
from gemma4_load.record import Record, Window

__all__ = ["RequestThroughput"]


class RequestThroughput(RunMetric):
    """Whole answers that ended in the window / its seconds."""

    name: ClassVar[str] = "request_throughput"
    label: ClassVar[str] = "request throughput"
    unit: ClassVar[Unit] = "requests/s"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    def value(self, records: list[Record], window: Window, slos: Sequence[Slo]) -> float | None:
        return window.rate(sum(r.whole and window.holds(r.end) for r in records))
