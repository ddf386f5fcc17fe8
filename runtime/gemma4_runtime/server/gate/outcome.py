"""What a run of the quality gate found. Standard library only: every step imports the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Outcome", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a run. ``agreement`` is 0 to 1 over all positions; ``worst`` names the answer that agrees
    least."""

    passed: bool
    agreement: float
    equal: int
    positions: int
    near_ties: int
    worst: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a run. ``reason`` says why it was skipped. ``at`` is Unix time, ``seconds`` what the run
    took the engine, and ``tokens`` those of prompts and answers. ``copy`` is the number of the copy
    of the model that agrees least, whose verdict counts."""

    result: Literal["passed", "failed", "skipped"]
    at: float = 0.0
    reason: str = ""
    verdict: Verdict | None = None
    copy: int = 1
    seconds: float = 0.0
    tokens: int = 0
