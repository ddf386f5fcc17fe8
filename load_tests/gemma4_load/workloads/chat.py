"""Conversations."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gemma4_load.workloads.base import Ask, Reply, Workload
from gemma4_load.workloads.lengths import Length
from gemma4_load.workloads.words import Words

__all__ = ["Chat"]

_SYSTEM_SEED = 20_260_403
"""Seed of the system prompt, which is the same in every run."""


class Chat(Workload):
    """Every conversation begins with the same system prompt and has ``turns`` user turns; a turn
    brings ``prompt`` new tokens and carries the answers before it, as the server gave them: what a
    prefix cache is for."""

    name: ClassVar[str] = "chat"

    def __init__(
        self, words: Words, prompt: Length, output: Length, *, system_tokens: int, turns: int
    ) -> None:
        self._words = words
        self._prompt = prompt
        self._output = output
        self._turns = turns
        text = words.text(np.random.default_rng(_SYSTEM_SEED), system_tokens)
        self._system = [{"role": "system", "content": text}] if system_tokens else []

    def first(self, rng: np.random.Generator) -> Ask:
        return self._turn(self._system, rng)

    def follow(self, ask: Ask, reply: Reply, rng: np.random.Generator) -> Ask | None:
        asked = sum(message["role"] == "user" for message in ask.messages)
        if asked >= self._turns:
            return None
        return self._turn([*ask.messages, reply.as_message()], rng)

    def _turn(self, before: list[dict[str, str]], rng: np.random.Generator) -> Ask:
        tokens = self._output.draw(rng)
        message = self._words.message(rng, self._prompt.draw(rng))
        return Ask(self.name, [*before, message], {"max_tokens": tokens})
