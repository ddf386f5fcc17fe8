"""Prefill time of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["PrefillTime"]


class PrefillTime(RequestMetric):
    """``prefill`` of the server's timings: from a slot in the engine to the first token. What
    is left of the TTFT, without it and the queue, is the host's. The gateway and other OpenAI
    servers do not tell it."""

    name: ClassVar[str] = "prefill_time"
    label: ClassVar[str] = "prefill time (server's)"
    unit: ClassVar[Unit] = "s"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def values(self, record: Record) -> Sequence[float]:
        return [] if record.prefill is None else [record.prefill]
