"""Inter-token latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["Itl"]


class Itl(RequestMetric):
    """``(end - arrivals[0]) / (output_tokens - 1)``, needs two tokens (AIPerf: "inter token
    latency"; vLLM calls it TPOT). The mean over the answer, so it does not
    depend on how the tokens were cut into chunks; the gaps themselves are ``inter_chunk``."""

    name: ClassVar[str] = "itl"
    label: ClassVar[str] = "inter-token latency"
    unit: ClassVar[Unit] = "s"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def values(self, record: Record) -> Sequence[float]:
        if record.output_tokens < 2 or not record.arrivals:
            return []
        return [(record.end - record.arrivals[0]) / (record.output_tokens - 1)]
