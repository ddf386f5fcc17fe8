"""One load, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gemma4_load.drive.arrivals import Rate
from gemma4_load.drive.lag import ClientLoad
from gemma4_load.record import Record, Window

__all__ = ["Level", "LevelResult"]


@dataclass(frozen=True, slots=True)
class Level:
    """``concurrency``: a closed loop of so many users, each asking again when it is
    answered. ``rate``: an open loop. Neither: the times are the trace's. ``seconds`` and
    ``requests`` are counted after the ``warmup`` seconds; the first that is reached ends it.
    ``max_in_flight`` bounds an open loop whose server falls behind. ``run`` counts runs of one load
    in a search, from 0."""

    concurrency: int | None = None
    rate: Rate | None = None
    arrival: str = "poisson"
    burstiness: float = 1.0
    warmup: float = 0.0
    seconds: float | None = None
    requests: int | None = None
    seed: int = 0
    max_in_flight: int = 4096
    run: int = 0

    @property
    def label(self) -> str:
        again = f", run {self.run + 1}" if self.run else ""
        if self.concurrency is not None:
            return f"concurrency {self.concurrency}{again}"
        return f"{self.rate.label}{again}" if self.rate is not None else "trace"

    @property
    def load(self) -> float:
        """Where it stands on the axis of a plot."""
        if self.concurrency is not None:
            return float(self.concurrency)
        return (self.rate.begin + self.rate.end) / 2 if self.rate is not None else 0.0


@dataclass(slots=True)
class LevelResult:
    """``stopped`` says why it ended early; ``notes`` what else to know of its figures."""

    level: Level
    records: list[Record]
    window: Window
    client: ClientLoad
    stopped: str = ""
    notes: list[str] = field(default_factory=list)
