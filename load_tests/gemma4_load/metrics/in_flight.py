"""Requests under way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RunMetric, Slo, Unit
from gemma4_load.record import Record, Window

__all__ = ["InFlight"]


class InFlight(RunMetric):
    """Mean number of requests under way: the seconds that each spent inside the window, summed, /
    its seconds. By Little's law the arrival rate times the mean time in the system."""

    name: ClassVar[str] = "in_flight"
    label: ClassVar[str] = "requests in flight"
    unit: ClassVar[Unit] = "requests"
    better: ClassVar[Literal["lower", "higher"] | None] = None

    def value(self, records: list[Record], window: Window, slos: Sequence[Slo]) -> float | None:
        inside = [min(r.end, window.end) - max(r.scheduled, window.begin) for r in records]
        return window.rate(sum(seconds for seconds in inside if seconds > 0))
