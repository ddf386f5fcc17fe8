"""What would work where nothing does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from gemma4_plan.fleet.question import CapacityQuestion
from gemma4_plan.fleet.sizing import Sizing, misses
from gemma4_plan.simulate import Outcome

__all__ = ["nearest"]

_ROOM = 1.05
"""By how much more than what was simulated an SLO is proposed."""


def nearest(question: CapacityQuestion, failed: Sequence[Sizing]) -> str:
    """Return the error for a question that none of ``failed`` answers: that there are too few GPUs,
    or which SLO is out of reach and what is not."""
    if question.max_gpus is not None and (text := _few_gpus(question, failed)):
        return text
    best: tuple[float, str] = (math.inf, "")
    for sizing in failed:
        sizing.question = replace(question, max_gpus=None)
        outcome = sizing.run(sizing.idle())
        found = misses(outcome, question.busiest())
        worst = max(found.values(), default=math.inf)
        if found and worst < best[0]:
            best = worst, _said(question, sizing, outcome, found)
    return best[1] or "no option holds these SLOs at any size; raise --ttft-ms or --itl-ms"


def _said(
    question: CapacityQuestion, sizing: Sizing, outcome: Outcome, found: dict[str, float]
) -> str:
    option = sizing.option
    where = f"{option.gpu} {option.split.precision} tp {option.split.tp}"
    parts = []
    for name, times in (("ttft", outcome.ttft), ("itl", outcome.itl)):
        if name in found:
            limit = getattr(question, f"{name}_ms")
            reached = _up(1e3 * times.p95 * _ROOM)
            parts.append((f"--{name}-ms {limit:g}", f"--{name}-ms {reached:g}"))
    if not parts:
        return (
            f"{where}: {outcome.refused or outcome.failed} requests are lost at any size; give "
            "shorter ones"
        )
    asked = " ".join(part[0] for part in parts)
    works = " ".join(part[1] for part in parts)
    end = " at the slow end of the estimate" if question.cautious else ""
    return f"{asked}: p95 cannot hold{end}; the nearest is {where}, with {works}"


def _up(value: float) -> float:
    """Round up to three digits."""
    scale = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(math.ceil(value / scale) * scale)


def _few_gpus(question: CapacityQuestion, failed: Sequence[Sizing]) -> str:
    """Return how many GPUs would do, and the rate that these carry; "" where no number would."""
    best: tuple[int, Sizing] | None = None
    for sizing in failed:
        sizing.question = replace(question, max_gpus=None)
        needed = sizing.smallest()
        gpus = math.inf if needed is None else (needed + question.spare) * sizing.option.split.tp
        if needed is not None and (best is None or gpus < best[0]):
            best = int(gpus), sizing
    if best is None:
        return ""
    gpus, sizing = best
    option = sizing.option
    start = (
        f"--max-gpus {question.max_gpus}: the smallest fleet that holds is {gpus:,} x "
        f"{option.card.product} ({option.split.precision}, {question.spare} spare "
        f"cop{'y' if question.spare == 1 else 'ies'}); give --max-gpus {gpus}"
    )
    share = _share(question, sizing)
    return start + (f", or {_less(question, share)}" if share else "")


def _share(question: CapacityQuestion, sizing: Sizing) -> float:
    """Return the share of the load that the GPUs that there are hold."""
    copies = (question.max_gpus or 0) // sizing.option.split.tp - question.spare
    if copies < 1 or question.trace:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(5):
        middle = (low + high) / 2
        asked = _asked(question, middle)
        try_it = Sizing(asked, sizing.option, sizing.fitted, sizing.end, sizing.tick)
        low, high = (middle, high) if try_it.holds(copies) else (low, middle)
    return low


def _asked(question: CapacityQuestion, share: float) -> CapacityQuestion:
    if question.users is not None:
        return replace(question, users=max(1, int(question.users * share)), max_gpus=None)
    return replace(question, rate=(question.rate or 0.0) * share, max_gpus=None)


def _less(question: CapacityQuestion, share: float) -> str:
    asked = _asked(question, share)
    return f"--users {asked.users}" if asked.users is not None else f"--rate {asked.rate:.3g}"
