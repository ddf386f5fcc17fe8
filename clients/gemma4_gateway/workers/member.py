"""What one worker has of the gateway that it is part of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gemma4_gateway.workers.board import Board
from gemma4_gateway.workers.counts import Counts
from gemma4_gateway.workers.metric_files import MetricFiles

__all__ = ["Member"]


@dataclass(frozen=True, slots=True)
class Member:
    """``number``: from 0 on; one that takes the place of another has its number. ``started`` tells
    the supervisor that it serves, with the banner."""

    number: int
    board: Board
    counts: Counts
    metrics: MetricFiles
    started: Callable[[str], None]

    def beat(self) -> None:
        """Say that the event loop runs."""
        self.board.beat(self.number)
