"""Presence and frequency penalties that count generated tokens only, by means of llama.cpp.

llama.cpp's own penalties count every token that it was given, the prompt included, and a request
can only set how far they look back. So each token of the prompt gets a logit bias that takes back
what it costs there. For the frequency penalty that is exact, since it grows by the same amount with
each occurrence. The presence penalty is charged once: the bias of a token must go when the answer
says it for the first time. A bias cannot change while llama.cpp generates, so the call ends there
and the next one goes on, with all of it in the prompt cache. A token that is not in the prompt
needs neither.

The repetition penalty counts prompt and answer, as in transformers and vLLM, and divides or
multiplies the logit by its sign after the bias was added. A bias can therefore not take back the
other two exactly, and the three are not combined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gemma4_runtime.messages import SamplingParams

__all__ = ["Penalties"]


class Penalties:
    """Of one request. ``prompt`` are the ids that shall not count."""

    def __init__(self, sampling: SamplingParams, prompt: Iterable[int]) -> None:
        self._presence = sampling.presence_penalty
        self._frequency = sampling.frequency_penalty
        active = bool(self._presence or self._frequency)
        self._counts = Counter(prompt) if active else Counter()
        self._ends = frozenset(sampling.stop_token_ids)

    def bias(self, answer: Sequence[int]) -> dict[int, float]:
        """Return token id -> what to add to its logit, when ``answer`` has been generated."""
        said = set(answer) if self._presence else set()
        return {
            token: count * self._frequency + (0.0 if token in said else self._presence)
            for token, count in self._counts.items()
        }

    def turns(self, answer: Sequence[int]) -> frozenset[int]:
        """Return the tokens after which :meth:`bias` is another one, so that the call must end."""
        if not self._presence:
            return frozenset()
        return frozenset(self._counts) - self._ends - set(answer)
