"""Time per output token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["Tpot"]


class Tpot(RequestMetric):
    """``(end - scheduled) / output_tokens``: the first token's wait included (GuideLLM's
    definition; vLLM's TPOT leaves it out and is our ``itl``)."""

    name: ClassVar[str] = "tpot"
    label: ClassVar[str] = "time per output token"
    unit: ClassVar[Unit] = "s"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def values(self, record: Record) -> Sequence[float]:
        if not record.output_tokens:
            return []
        return [(record.end - record.scheduled) / record.output_tokens]
