"""Inter-chunk latency."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["InterChunk"]


class InterChunk(RequestMetric):
    """``arrivals[i] - arrivals[i - 1]``: every gap of every stream, what a reader sees as stutter
    (AIPerf: "inter chunk latency")."""

    name: ClassVar[str] = "inter_chunk"
    label: ClassVar[str] = "inter-chunk latency"
    unit: ClassVar[Unit] = "s"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def values(self, record: Record) -> Sequence[float]:
        return [later - earlier for earlier, later in pairwise(record.arrivals)]
