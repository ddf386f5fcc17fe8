"""Prompt and output tokens a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RunMetric, Slo, Unit
from gemma4_load.record import Record, Window

__all__ = ["TotalThroughput"]


class TotalThroughput(RunMetric):
    """(Output tokens that arrived in the window + prompt tokens of the requests whose first chunk
    arrived in it) / its seconds."""

    name: ClassVar[str] = "total_throughput"
    label: ClassVar[str] = "total throughput"
    unit: ClassVar[Unit] = "tokens/s"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    def value(self, records: list[Record], window: Window, slos: Sequence[Slo]) -> float | None:
        prompts = sum(
            r.prompt_tokens for r in records if r.arrivals and window.holds(r.arrivals[0])
        )
        return window.rate(window.tokens(records) + prompts)
