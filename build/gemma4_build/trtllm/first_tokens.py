"""What the source answers first, greedily: lets a GPU machine check its engine against it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gemma4_runtime.engine_folder import FirstTokens

from gemma4_build.progress import Reporter, SilentReporter
from gemma4_build.reference import final_states, project
from gemma4_build.reference.weights import EXACT, Rounding, Weights

__all__ = ["first_tokens"]

PROMPTS = 4
TOKENS = 8
"""Each token takes a pass over the checkpoint: the reference keeps no KV cache."""


def first_tokens(
    weights: Weights,
    prompts: Sequence[Sequence[int]],
    reporter: Reporter,
    *,
    stops: Sequence[int],
    rounding: Rounding = EXACT,
) -> list[FirstTokens]:
    """Up to :data:`TOKENS` greedy tokens of the shortest :data:`PROMPTS` prompts; an answer ends
    with the first of ``stops``."""
    chosen = sorted(prompts, key=len)[:PROMPTS]
    answers: list[list[int]] = [[] for _ in chosen]
    margins: list[list[float]] = [[] for _ in chosen]
    reporter.say(f"First tokens of {len(chosen)} prompts through the float32 reference")
    for _ in range(TOKENS):
        alive = [n for n, answer in enumerate(answers) if not answer or answer[-1] not in stops]
        if not alive:
            break
        states = final_states(
            weights,
            [[*chosen[n], *answers[n]] for n in alive],
            last=[1] * len(alive),
            reporter=SilentReporter(),
            rounding=rounding,
        )
        for n, row in zip(alive, project(weights, states), strict=True):
            second, first = np.partition(row, -2)[-2:]
            answers[n].append(int(row.argmax()))
            margins[n].append(round(float(first - second), 4))
    return [
        FirstTokens(prompt=list(prompt), expected=answer, margins=margin)
        for prompt, answer, margin in zip(chosen, answers, margins, strict=True)
    ]
