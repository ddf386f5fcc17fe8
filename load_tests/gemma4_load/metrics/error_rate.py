"""Share of the requests that failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RunMetric, Slo, Unit
from gemma4_load.record import Record, Window

__all__ = ["ErrorRate"]


class ErrorRate(RunMetric):
    """Requests due in the window that ended with an error / all that were due in it."""

    name: ClassVar[str] = "error_rate"
    label: ClassVar[str] = "errors"
    unit: ClassVar[Unit] = "share"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def value(self, records: list[Record], window: Window, slos: Sequence[Slo]) -> float | None:
        due = window.started(records)
        return sum(record.failed for record in due) / len(due) if due else None
