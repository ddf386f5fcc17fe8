"""What the source answers first, greedily: what quantized weights, and a GPU engine, are checked
against."""

from __future__ import annotations

from collections.abc import Sequence

from gemma4_runtime.manifest import FirstTokens

from gemma4_build.progress import Reporter, SilentReporter
from gemma4_build.reference import final_states, project
from gemma4_build.reference.weights import EXACT, Rounding, Weights
from gemma4_build.verify.metrics import greedy
from gemma4_build.verify.prompts import Prompt

__all__ = ["TOKENS", "first_tokens"]

TOKENS = 8
"""Each token takes a pass over the checkpoint: the reference keeps no KV cache, and the few experts
that one token needs are soon all of them for ten prompts."""


def first_tokens(
    weights: Weights,
    prompts: Sequence[Prompt],
    reporter: Reporter,
    *,
    stops: Sequence[int],
    rounding: Rounding = EXACT,
    tokens: int = TOKENS,
) -> list[FirstTokens]:
    """Return up to ``tokens`` greedy tokens of each prompt; an answer ends with the first of
    ``stops``."""
    answers: list[list[int]] = [[] for _ in prompts]
    margins: list[list[float]] = [[] for _ in prompts]
    reporter.say(f"First tokens of {len(prompts)} prompts through the float32 reference")
    for _ in range(tokens):
        alive = [n for n, answer in enumerate(answers) if not answer or answer[-1] not in stops]
        if not alive:
            break
        states = final_states(
            weights,
            [[*prompts[n].ids, *answers[n]] for n in alive],
            last=[1] * len(alive),
            reporter=SilentReporter(),
            rounding=rounding,
        )
        for n, row in zip(alive, project(weights, states), strict=True):
            token, margin = greedy(row)
            answers[n].append(token)
            margins[n].append(margin)
    return [
        FirstTokens(text=prompt.text.removeprefix("<bos>"), ids=answer, margins=margin)
        for prompt, answer, margin in zip(prompts, answers, margins, strict=True)
    ]
