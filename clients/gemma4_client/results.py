"""What a request gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Delta", "Usage", "merged"]


@dataclass(frozen=True, slots=True)
class Delta:
    """One chunk of an answer. ``finish_reason`` is "" until the last; ``tool_calls`` arrive whole,
    in OpenAI's form. ``ids`` are the token ids of the chunk, ``log_probs`` one natural-log
    probability for each, or empty; ``cum_log_prob`` is their sum so far. ``timings`` (last chunk
    only) are the server's seconds: queue, prefill, decode.

    Three values come from ``engine`` alone, not from ``gemma4``: ``reasoning_tokens``, the tokens
    of thoughts so far with the control tokens around them; ``stop_word`` (last chunk only), the one
    of the ``stop_words`` that ended the answer, or ""; and, with log-probabilities,
    ``text_tokens``: (number of a token in the answer from 0, bytes of it that are text). In order
    and over the whole answer these bytes are the text."""

    text: str
    reasoning: str
    tool_calls: list[dict[str, Any]]
    finish_reason: str
    index: int
    prompt_tokens: int
    completion_tokens: int
    ids: list[int]
    log_probs: list[float]
    timings: dict[str, float] | None
    cum_log_prob: float = 0.0
    reasoning_tokens: int = 0
    stop_word: str = ""
    text_tokens: list[tuple[int, int]] = field(default_factory=list)


def merged(deltas: Sequence[Delta], *, index: int) -> Delta:
    """Return chunks in order, at least one, as one with this index."""
    last = deltas[-1]
    return Delta(
        text="".join([d.text for d in deltas]),
        reasoning="".join([d.reasoning for d in deltas]),
        tool_calls=[call for d in deltas for call in d.tool_calls],
        finish_reason=last.finish_reason,
        index=index,
        prompt_tokens=last.prompt_tokens,
        completion_tokens=last.completion_tokens,
        ids=[token for d in deltas for token in d.ids],
        log_probs=[value for d in deltas for value in d.log_probs],
        timings=last.timings,
        cum_log_prob=last.cum_log_prob,
        reasoning_tokens=last.reasoning_tokens,
        stop_word=last.stop_word,
        text_tokens=[pair for d in deltas for pair in d.text_tokens],
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, counted by the server."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(slots=True)
class Answer:
    """A whole answer, or what came of it so far. ``finish_reason`` is stop, length or tool_calls.
    ``tool_calls`` are in OpenAI's form; ``ids`` include the stop token.

    ``timings`` are seconds. The server's: ``queue``, ``prefill``, ``decode`` (and a count,
    ``cached_tokens`` of the prompt, where the engine says it). This client's: ``ttft`` (request
    sent to the first text, reasoning or tool call) and ``total`` (to the last chunk).
    ``parsed`` is the instance of the ``response_model`` that was asked for. ``cached`` is true for
    an answer out of the client's cache; the server's timings are then those of the first time."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    cum_log_prob: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)
    parsed: Any = None
    cached: bool = False

    @property
    def usage(self) -> Usage:
        return Usage(self.prompt_tokens, self.completion_tokens)

    def as_message(self) -> dict[str, Any]:
        """Return the answer as the assistant's message of the next :meth:`Client.chat`."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        return message
