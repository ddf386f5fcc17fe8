"""Time to first token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["Ttft"]


class Ttft(RequestMetric):
    """``arrivals[0] - scheduled``: from the request being due to the first response that shows
    something (AIPerf: "time to first token", whose open loop also counts from the plan)."""

    name: ClassVar[str] = "ttft"
    label: ClassVar[str] = "time to first token"
    unit: ClassVar[Unit] = "s"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def values(self, record: Record) -> Sequence[float]:
        return [record.arrivals[0] - record.scheduled] if record.arrivals else []
