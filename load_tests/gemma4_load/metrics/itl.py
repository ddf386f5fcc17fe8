"""Inter-token latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["FINEST_S", "Itl"]

FINEST_S = 1e-4
"""Seconds a token below which an answer came in one piece, by a proxy that buffers or as one tool
call: what is left is the time to read it, which is no pace of the server."""


class Itl(RequestMetric):
    """``(end - arrivals[0]) / (output_tokens - 1)``, needs two tokens (AIPerf: "inter token
    latency"; vLLM calls it TPOT). The mean over the answer, so it does not
    depend on how the tokens were cut into chunks; the gaps themselves are ``inter_chunk``. An
    answer whose tokens came together (below :data:`FINEST_S`) has none."""

    name: ClassVar[str] = "itl"
    label: ClassVar[str] = "inter-token latency"
    unit: ClassVar[Unit] = "s"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def values(self, record: Record) -> Sequence[float]:
        if record.output_tokens < 2 or not record.arrivals:
            return []
        pace = (record.end - record.arrivals[0]) / (record.output_tokens - 1)
        return [pace] if pace >= FINEST_S else []
