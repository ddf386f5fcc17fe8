"""What a run of the quality gate found. Standard library only: every step imports the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Outcome", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a run. ``agreement`` is 0 to 1 over all positions. ``moved`` (nats) is by how much the
    log-probability of a token changed most since ``since``: the first run of this server or the
    build; None where the engine tells none. ``worst`` names the answer that decided, or that agrees
    least. ``reason`` says why the run failed; "" when it passed."""

    passed: bool
    agreement: float
    equal: int
    positions: int
    near_ties: int
    worst: str
    moved: float | None = None
    since: Literal["start", "build"] = "build"
    reason: str = ""


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
