"""A second opinion in words and as JSON."""

from __future__ import annotations

from gemma4_plan.document.parts import SecondOpinion
from gemma4_plan.options import Option
from gemma4_plan.second.opinion import Asked, Opinion
from gemma4_plan.span import Span

__all__ = ["opinion_json", "option_lines", "what"]

_METHOD = (
    "It adds up operations that were measured one by one, without what is between them and without "
    "a run of this model."
)
"""How its prediction is to be read."""


def what(asked: Asked) -> str:
    """Return the copy that was asked about."""
    many = f" x {asked.tensor_parallel}" if asked.tensor_parallel > 1 else ""
    return f"one copy on {asked.gpu}{many} in {asked.precision}"


def option_lines(opinion: Opinion, option: Option) -> list[str]:
    """Return lines of both predictions, ours of ``option`` with its range; one line where the
    second is missing."""
    about = what(opinion.asked)
    if opinion.figures is None:
        return [f"second opinion of {opinion.name} on {about}: none, since {opinion.missing}"]
    found = opinion.figures
    other = ""
    if found.tensor_parallel != opinion.asked.tensor_parallel:
        other = f", with {found.tensor_parallel} GPUs a copy"
    return [
        f"second opinion on {about}:",
        f"  this plan's estimate: {option.streams:,} streams, ITL {_ends(option.itl_ms)} ms, "
        f"TTFT {_ends(option.ttft_ms)} ms, {_ends(_per_gpu(option))} tokens/s a GPU",
        f"  {opinion.name} predicts: {found.streams:,} streams, ITL {_digits(found.itl_ms)} ms, "
        f"TTFT {_digits(found.ttft_ms)} ms, {_digits(found.tokens_per_s_per_gpu)} tokens/s a GPU "
        f"(its data: {found.engine}{other})",
        f"  {_METHOD}",
    ]


def opinion_json(opinion: Opinion | None) -> SecondOpinion | None:
    """Return the same; None where none was asked for."""
    if opinion is None:
        return None
    asked, found = opinion.asked, opinion.figures
    return {
        "program": opinion.program,
        "version": opinion.version,
        "gpu": asked.gpu,
        "precision": asked.precision,
        "gpus": asked.tensor_parallel,
        "missing": opinion.missing or None,
        "streams": None if found is None else found.streams,
        "itl_ms": None if found is None else found.itl_ms,
        "ttft_ms": None if found is None else found.ttft_ms,
        "tokens_per_s": None if found is None else found.tokens_per_s,
        "tokens_per_s_per_gpu": None if found is None else found.tokens_per_s_per_gpu,
        "tensor_parallel": None if found is None else found.tensor_parallel,
        "engine": None if found is None else found.engine,
    }


def _per_gpu(option: Option) -> Span:
    share = 1 / option.split.tp
    return Span(option.tokens_per_s.low * share, option.tokens_per_s.high * share)


def _ends(span: Span) -> str:
    return f"{_digits(span.low)} to {_digits(span.high)}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
