"""Switches the metrics of a server off, for bench/metrics_cost.py alone: Python imports this before
anything else where this folder is in PYTHONPATH. Serving has no such option."""

from __future__ import annotations

from typing import Any

from gemma4_runtime.metrics import publisher
from gemma4_runtime.server import engine_metrics, preprocessing


def _nothing(*args: Any, **named: Any) -> None:
    """Stands for every step of counting and publishing."""


class _NoPublisher:
    def __init__(self, *args: Any, **named: Any) -> None:
        pass

    def close(self) -> None:
        pass


publisher.Publisher = _NoPublisher  # type: ignore[assignment, misc]
for name in ("tokens", "refused", "ended", "state"):
    setattr(engine_metrics.EngineMetrics, name, _nothing)
for module in (engine_metrics, preprocessing):
    setattr(module, "count_failure", _nothing)  # noqa: B010 - they do not export it
