"""Output tokens a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RunMetric, Slo, Unit
from gemma4_load.record import Record, Window

__all__ = ["OutputThroughput"]


class OutputThroughput(RunMetric):
    """Output tokens that arrived in the window / its seconds. Tokens of requests that started
    before it or end after it count for the part that arrived inside, so neither edge biases it."""

    name: ClassVar[str] = "output_throughput"
    label: ClassVar[str] = "output throughput"
    unit: ClassVar[Unit] = "tokens/s"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    def value(self, records: list[Record], window: Window, slos: Sequence[Slo]) -> float | None:
        return window.rate(window.tokens(records))
