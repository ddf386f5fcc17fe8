"""Decode time of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["DecodeTime"]


class DecodeTime(RequestMetric):
    """``decode`` of the server's timings: from the first token to the last, in the engine. The
    gateway and other OpenAI servers do not tell it."""

    name: ClassVar[str] = "decode_time"
    label: ClassVar[str] = "decode time (server's)"
    unit: ClassVar[Unit] = "s"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def values(self, record: Record) -> Sequence[float]:
        return [] if record.decode is None else [record.decode]
