"""Good answers a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RunMetric, Slo, Unit, met
from gemma4_load.record import Record, Window

__all__ = ["Goodput"]


class Goodput(RunMetric):
    """Answers that ended in the window and kept every SLO / its seconds (DistServe; AIPerf). None
    without SLOs."""

    name: ClassVar[str] = "goodput"
    label: ClassVar[str] = "goodput"
    unit: ClassVar[Unit] = "requests/s"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    def value(self, records: list[Record], window: Window, slos: Sequence[Slo]) -> float | None:
        if not slos:
            return None
        return window.rate(sum(window.holds(r.end) and met(r, slos) for r in records))
