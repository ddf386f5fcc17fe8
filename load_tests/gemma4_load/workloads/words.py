"""Texts of a wanted number of tokens, in words that no two requests share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["COMMON", "Words", "single_token_words", "user"]

_PROBES = (100, 300)
_WORD = re.compile(rb"\xe2\x96\x81[a-z]{2,12}| [a-z]{2,12}")
COMMON = """
time year people way day man thing woman life child world school state family student group
country problem hand part place case week company system program question work government
number night point home water room mother area money story fact month lot right study book
eye job word business issue side kind head house service friend father power hour game line
end member law car city community name president team minute idea body information back
parent face others level office door health person art war history party result change
morning reason research girl guy moment air teacher force education
""".split()
"""Words that most tokenizers have as one token, for a server that cannot be asked."""


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def single_token_words(token_bytes: Sequence[bytes]) -> list[str]:
    """Return the words among a vocabulary's pieces: a space and a few ASCII letters."""
    found = [
        piece.lstrip(b"\xe2\x96\x81 ").decode() for piece in token_bytes if _WORD.fullmatch(piece)
    ]
    return sorted(set(found))


@dataclass(frozen=True, slots=True)
class Words:
    """``per_word`` is tokens for a word; ``overhead`` what the chat template adds to one user
    message. Both are measured on the server where it can be asked."""

    words: Sequence[str] = tuple(COMMON)
    per_word: float = 1.0
    overhead: int = 0

    @classmethod
    def probes(cls) -> list[dict[str, Any]]:
        """Return two messages whose prompt tokens :meth:`measured` wants."""
        return [user(cls().text(np.random.default_rng(1), size)) for size in _PROBES]

    @classmethod
    def measured(cls, counts: Sequence[int]) -> Words:
        """Return the words from what a server said of :meth:`probes`, for one that cannot be asked
        otherwise."""
        short, long = _PROBES
        per_word = max((counts[1] - counts[0]) / (long - short), 0.1)
        return cls(tuple(COMMON), per_word, max(0, round(counts[0] - short * per_word)))

    def text(self, rng: np.random.Generator, tokens: int) -> str:
        """Return about ``tokens`` tokens, at least one word."""
        count = max(1, round(tokens / self.per_word))
        return " ".join(self.words[i] for i in rng.integers(0, len(self.words), count))

    def message(self, rng: np.random.Generator, tokens: int) -> dict[str, Any]:
        """Return a user message that makes a prompt of about ``tokens`` tokens."""
        return user(self.text(rng, tokens - self.overhead))
