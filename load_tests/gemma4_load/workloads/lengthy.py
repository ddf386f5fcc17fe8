"""Random words in, a set number of tokens out."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gemma4_load.workloads.base import Ask, Workload
from gemma4_load.workloads.lengths import Length
from gemma4_load.workloads.words import Words

__all__ = ["Lengthy"]


class Lengthy(Workload):
    """Prompts of random words that share no prefix, so that no cache helps; the answer has exactly
    as many tokens as drawn (``min_tokens`` equals ``max_tokens``: end tokens are not taken)."""

    name: ClassVar[str] = "lengths"

    def __init__(self, words: Words, prompt: Length, output: Length) -> None:
        self._words = words
        self._prompt = prompt
        self._output = output

    def first(self, rng: np.random.Generator) -> Ask:
        tokens = self._output.draw(rng)
        message = self._words.message(rng, self._prompt.draw(rng))
        return Ask(self.name, [message], {"max_tokens": tokens, "min_tokens": tokens})
