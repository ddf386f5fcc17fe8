"""What a request gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Delta"]


@dataclass(frozen=True, slots=True)
class Delta:
    """One chunk of an answer. ``finish_reason`` is "" until the last."""

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


@dataclass(slots=True)
class Answer:
    """A whole answer. ``tool_calls`` are in OpenAI's form; ``ids`` include the stop token;
    ``timings`` are seconds: queue, prefill, decode."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    timings: dict[str, float] | None = None

    def add(self, delta: Delta) -> None:
        """Append a chunk."""
        self.text += delta.text
        self.reasoning += delta.reasoning
        self.tool_calls += delta.tool_calls
        self.finish_reason = delta.finish_reason
        self.prompt_tokens = delta.prompt_tokens
        self.completion_tokens = delta.completion_tokens
        self.ids += delta.ids
        self.log_probs += delta.log_probs
        self.timings = delta.timings
