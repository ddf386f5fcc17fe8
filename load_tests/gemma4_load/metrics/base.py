"""What a metric is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from gemma4_load.record import Record, Window

__all__ = ["RequestMetric", "RunMetric", "Slo", "Unit", "met"]

Unit = Literal["s", "tokens", "tokens/s", "requests/s", "requests", "share"]


class RequestMetric:
    """A figure of one request; a run has its distribution over the requests that were due in the
    window. ``better`` says where improvement lies; None where there is none."""

    name: ClassVar[str]
    label: ClassVar[str]
    unit: ClassVar[Unit]
    better: ClassVar[Literal["lower", "higher"] | None]

    def values(self, record: Record) -> Sequence[float]:
        """Return the values of a whole answer: one value, none when it has none, several for
        gaps."""
        raise NotImplementedError


class RunMetric:
    """A figure of the whole window."""

    name: ClassVar[str]
    label: ClassVar[str]
    unit: ClassVar[Unit]
    better: ClassVar[Literal["lower", "higher"] | None]

    def value(self, records: list[Record], window: Window, slos: Sequence[Slo]) -> float | None:
        """Return the value; None when it is not defined."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Slo:
    """A bound that every request has to keep, in the unit of the metric."""

    metric: RequestMetric
    limit: float

    def met(self, record: Record) -> bool:
        """Return True when no value of the request is beyond the bound; one that has no value, as a
        one-token answer has no ITL, keeps it."""
        values = self.metric.values(record)
        if self.metric.better == "higher":
            return all(value >= self.limit for value in values)
        return all(value <= self.limit for value in values)


def met(record: Record, slos: Sequence[Slo]) -> bool:
    """Return True for a whole answer that keeps every bound."""
    return record.whole and all(slo.met(record) for slo in slos)
