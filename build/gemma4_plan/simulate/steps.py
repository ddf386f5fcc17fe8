"""How long one step of an engine takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["StepTimes", "StreamPace"]


class StepTimes(Protocol):
    """Seconds of a step. Must not fall when any argument grows, and must be above 0."""

    def seconds(self, decode: int, context: float, prefill: int, seen: float) -> float:
        """Return the seconds of a step in which ``decode`` answers get a token and ``prefill``
        tokens of prompts are read, not both 0. ``context``: tokens that the answers already have,
        all together; ``seen``: tokens that each of the prompts' sees, the mean."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPace:
    """Every stream by itself, whatever runs beside it, as the synthetic engine does: the first
    token comes ``prefill_s`` for each token of the prompt and ``interval_s`` after the start, each
    next one ``interval_s`` later."""

    interval_s: float
    prefill_s: float = 0.0
