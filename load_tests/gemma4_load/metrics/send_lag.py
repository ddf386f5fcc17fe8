"""How late this client sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["SendLag"]


class SendLag(RequestMetric):
    """``sent - scheduled``: the load generator's own fault, 0 in a closed loop. It is inside TTFT
    and latency; a run where it is large says that it is invalid."""

    name: ClassVar[str] = "send_lag"
    label: ClassVar[str] = "send lag (this client's)"
    unit: ClassVar[Unit] = "s"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def values(self, record: Record) -> Sequence[float]:
        return [record.sent - record.scheduled]
