"""Length of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["OutputTokens"]


class OutputTokens(RequestMetric):
    """Tokens of the answer, reasoning included, counted by the server."""

    name: ClassVar[str] = "output_tokens"
    label: ClassVar[str] = "output tokens"
    unit: ClassVar[Unit] = "tokens"
    better: ClassVar[Literal["lower", "higher"] | None] = None

    def values(self, record: Record) -> Sequence[float]:
        return [float(record.output_tokens)]
