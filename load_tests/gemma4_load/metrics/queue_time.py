"""Time in the server's queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["QueueTime"]


class QueueTime(RequestMetric):
    """``queue`` of the server's timings: from admission to a slot in the engine. The gateway and
    other OpenAI servers do not tell it."""

    name: ClassVar[str] = "queue_time"
    label: ClassVar[str] = "queue time (server's)"
    unit: ClassVar[Unit] = "s"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def values(self, record: Record) -> Sequence[float]:
        return [] if record.queue is None else [record.queue]
