"""Whether the requests of a question can be at all: their lengths, and the lines of a trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gemma4_load.workloads.lengths import Length

from gemma4_plan.errors import BadQuestionError
from gemma4_plan.fleet.lengths import mean
from gemma4_plan.model import published_model

__all__ = ["check_lengths", "check_trace"]

_MOST_DAYS = 366
"""Days that a trace may last."""


def check_trace(trace: Sequence[dict[str, Any]], speed: float) -> None:
    """Raise :class:`BadQuestionError` for a request that no server of this model could take, and
    for a trace that would not end."""
    context = published_model().context
    for index, line in enumerate(trace, 1):
        if "input_length" not in line:
            raise BadQuestionError(
                f"--trace: request {index} has messages and no input_length; add the tokens of "
                "its prompt"
            )
        tokens = line["input_length"] + line["output_length"]
        if tokens > context:
            raise BadQuestionError(
                f"--trace: request {index} has input_length {line['input_length']:g} and "
                f"output_length {line['output_length']:g}; the model's context is {context} "
                "tokens, give at most that together"
            )
    if trace:
        days = (trace[-1]["timestamp"] - trace[0]["timestamp"]) / 86.4e6 / speed
        if days > _MOST_DAYS:
            raise BadQuestionError(
                f"--trace: lasts {days:.3g} days from the first timestamp to the last, in "
                f"milliseconds; give at most {_MOST_DAYS}, or --trace-speed "
                f"{speed * days / _MOST_DAYS:.3g}"
            )


def check_lengths(prompt: Length, output: Length, *, before: int = 0) -> None:
    """Raise :class:`BadQuestionError` for lengths of which a request in the middle would not fit
    the model; ``before`` tokens are at the head of each prompt."""
    context = published_model().context
    for option, length in (("--prompt-tokens", prompt), ("--output-tokens", output)):
        for value in (length.a, length.b if length.kind in ("uniform", "normal") else 0.0):
            if value > context:
                raise BadQuestionError(
                    f"{option} {length}: the model's context is {context} tokens; give less"
                )
    tokens = mean(prompt) + before + mean(output)
    if tokens > context:
        raise BadQuestionError(
            f"--prompt-tokens {prompt} --output-tokens {output}: that is {tokens:.0f} tokens on "
            f"average; the model's context is {context} tokens, give at most that together"
        )
