"""The question that a second program is asked about an option."""

from __future__ import annotations

from pathlib import Path

from gemma4_plan.options import FitQuestion, Option
from gemma4_plan.second.aiconfigurator import ask
from gemma4_plan.second.opinion import Asked, Opinion

__all__ = ["opinion_of"]


def opinion_of(
    program: Path | None, option: Option, question: FitQuestion, *, seconds: float
) -> Opinion | None:
    """Return what ``program`` says of one copy of ``option``, within ``seconds``; None without a
    program."""
    if program is None:
        return None
    asked = Asked(
        gpu=option.gpu, precision=option.split.precision, tensor_parallel=option.split.tp,
        prompt=question.prompt, output=question.output, ttft_ms=question.ttft_ms,
        itl_ms=question.itl_ms,
    )  # fmt: skip
    return ask(program, asked, seconds=seconds)
