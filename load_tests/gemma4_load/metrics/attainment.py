"""Share of the requests that keep the SLOs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RunMetric, Slo, Unit, met
from gemma4_load.record import Record, Window

__all__ = ["Attainment"]


class Attainment(RunMetric):
    """Requests due in the window that kept every SLO / all that were due in it. A failed one keeps
    none; one that this client left on purpose counts on neither side. None without SLOs."""

    name: ClassVar[str] = "attainment"
    label: ClassVar[str] = "SLO attainment"
    unit: ClassVar[Unit] = "share"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    def value(self, records: list[Record], window: Window, slos: Sequence[Slo]) -> float | None:
        due = [record for record in window.started(records) if not record.left]
        if not slos or not due:
            return None
        return sum(met(record, slos) for record in due) / len(due)
