"""End-to-end latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["Latency"]


class Latency(RequestMetric):
    """``end - scheduled``: from the request being due to its last response (E2E; AIPerf: "request
    latency")."""

    name: ClassVar[str] = "latency"
    label: ClassVar[str] = "end-to-end latency"
    unit: ClassVar[Unit] = "s"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def values(self, record: Record) -> Sequence[float]:
        return [record.end - record.scheduled]
