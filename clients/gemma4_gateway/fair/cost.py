"""What a call is expected to cost, without a tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gemma4_gateway.translate.request_plan import EngineCall

__all__ = ["CharsPerToken", "PromptSize", "prompt_size"]

_FIRST_RATIO = 4.0
"""Characters of a token, before an answer has said how many tokens its prompt had."""
_NEWEST = 0.05
"""Part that the newest prompt has in the ratio."""
_LEAST_CHARS = 200
"""Characters of a prompt below which the template's own tokens count too much to learn from."""


@dataclass(frozen=True, slots=True)
class PromptSize:
    """``tokens`` where they are known, else None; ``chars`` of text."""

    chars: int
    tokens: int | None = None


def prompt_size(call: EngineCall) -> PromptSize:
    """Measure the prompt of a call."""
    if call.token_ids is not None:
        return PromptSize(0, len(call.token_ids))
    if call.messages is None:
        return PromptSize(len(call.text or ""))
    return PromptSize(_chars(call.messages) + (_chars(call.tools) if call.tools else 0))


def _chars(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_chars, value.values()))
    if isinstance(value, list):
        return sum(map(_chars, value))
    return 1


class CharsPerToken:
    """Learns from the prompts whose tokens were counted."""

    def __init__(self) -> None:
        self._ratio = _FIRST_RATIO

    def tokens(self, size: PromptSize) -> int:
        """Estimate the tokens of a prompt."""
        return int(size.chars / self._ratio) + 1 if size.tokens is None else size.tokens

    def learn(self, size: PromptSize, tokens: int) -> None:
        """Note that a prompt had ``tokens``."""
        if tokens and size.tokens is None and size.chars >= _LEAST_CHARS:
            ratio = min(max(size.chars / tokens, 0.25), 16.0)
            self._ratio += _NEWEST * (ratio - self._ratio)
