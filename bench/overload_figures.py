"""What bench/overload.py reads from the rows that `gemma4 load` wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

__all__ = ["REFUSED", "Overload", "capacity_of", "overload_of"]

REFUSED = frozenset({"UNAVAILABLE"})
"""Statuses of a refusal for lack of room; every other failure is a fault."""
LEAST_GOODPUT = 0.9
MOST_REFUSAL_S = 0.05
MOST_GROWTH_MB = 8.0

Row = Mapping[str, str]


def _whole(row: Row, begin: float, end: float) -> bool:
    return row["status"] == "OK" and begin <= float(row["end"]) <= end


def capacity_of(rows: Iterable[Row], begin: float, end: float) -> float:
    """Return whole answers per second that ended between ``begin`` and ``end``, in seconds."""
    return sum(_whole(row, begin, end) for row in rows) / (end - begin)


@dataclass
class Overload:
    """``offered``, ``capacity`` and ``goodput`` in requests/s. ``refusals``: seconds from sending to
    the refusal. ``faults``: status and code of what was neither an answer nor a refusal.
    ``growth_mb``: of all processes of the stack over the run, with its error (99 %)."""

    capacity: float
    offered: float
    goodput: float
    refusals: list[float]
    faults: Counter[str] = field(default_factory=Counter)
    growth_mb: float = 0.0
    growth_error_mb: float = 0.0

    @property
    def share(self) -> float:
        return self.goodput / self.capacity if self.capacity else 0.0

    def refusal(self, q: float) -> float:
        """Return a percentile of the seconds of a refusal; nan without one."""
        return float(np.percentile(self.refusals, q)) if self.refusals else float("nan")

    def missed(self) -> list[str]:
        """Return the targets that were missed, in words."""
        found = []
        if not self.share >= LEAST_GOODPUT:
            found.append(f"goodput {self.share:.0%} of capacity, less than {LEAST_GOODPUT:.0%}")
        if not self.refusal(99) < MOST_REFUSAL_S:
            found.append(f"refusals p99 {self.refusal(99) * 1000:.0f} ms")
        if self.growth_mb - self.growth_error_mb > MOST_GROWTH_MB:
            found.append(f"memory grew by {self.growth_mb:.0f} MB")
        if self.faults:
            found.append(f"faults {dict(self.faults)}")
        return found


def overload_of(rows: Iterable[Row], capacity: float, begin: float, end: float) -> Overload:
    """Return what the requests due between ``begin`` and ``end`` came to."""
    rows = list(rows)
    due = [row for row in rows if begin <= float(row["scheduled"]) <= end]
    refused = [row for row in due if row["status"] in REFUSED]
    faults = Counter(
        f"{row['status']} {row['code']}" for row in due if row["status"] not in REFUSED | {"OK"}
    )
    seconds = [float(row["end"]) - float(row["sent"]) for row in refused]
    goodput = capacity_of(rows, begin, end)
    return Overload(capacity, len(due) / (end - begin), goodput, seconds, faults)
