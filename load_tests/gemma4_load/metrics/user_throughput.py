"""Tokens a second that one user sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.metrics.itl import Itl
from gemma4_load.record import Record

__all__ = ["UserThroughput"]


class UserThroughput(RequestMetric):
    """``1 / itl`` (AIPerf: "output token throughput per user"); none where there is no ITL."""

    name: ClassVar[str] = "user_throughput"
    label: ClassVar[str] = "output tokens/s per user"
    unit: ClassVar[Unit] = "tokens/s"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    def values(self, record: Record) -> Sequence[float]:
        return [1 / value for value in Itl().values(record)]
