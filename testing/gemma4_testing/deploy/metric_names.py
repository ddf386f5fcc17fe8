"""The names of the series that our servers tell."""

from __future__ import annotations

from collections.abc import Iterator

from gemma4_gateway.metrics import Metrics
from gemma4_gateway.workers.board import Board
from gemma4_gateway.workers.metric_files import Workers
from gemma4_runtime.metrics.families import FAMILIES

__all__ = ["gateway_names", "model_names"]


def gateway_names() -> set[str]:
    """Return those of a gateway, also the ones that it has with TLS, Redis or workers only."""
    metrics = Metrics()
    metrics.with_tls()
    metrics.with_shared_limits()
    families = [*metrics.registry.collect(), *Workers(Board(1)).collect()]
    return {
        f"{family.name}{end}"
        for family in families
        for end in ("", "_total", "_bucket", "_sum", "_count")
    }


def model_names() -> set[str]:
    """Return what the models add to Triton's own."""

    def each() -> Iterator[str]:
        for family in FAMILIES:
            ends = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
            yield from (f"{family.name}{end}" for end in ends)

    return set(each())
