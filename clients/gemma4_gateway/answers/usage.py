"""Token counts of a request."""

from __future__ import annotations

from typing import Any

from gemma4_client import Delta

__all__ = ["ReasoningCount", "UsageCount"]


class ReasoningCount:
    """Tokens between the marks of a thought, marks included. ``marks`` are the ids that open and
    close one."""

    def __init__(self, marks: tuple[int, int]) -> None:
        self._open, self._close = marks
        self._inside = False
        self.tokens = 0

    def add(self, ids: list[int]) -> None:
        for token in ids:
            if token == self._open:
                self._inside = True
            self.tokens += self._inside
            if token == self._close:
                self._inside = False


class UsageCount:
    """Of all choices. ``per_prompt`` choices share a prompt, whose tokens count once."""

    def __init__(self, choices: int, *, per_prompt: int, marks: tuple[int, int] | None) -> None:
        self._last: list[Delta | None] = [None] * choices
        self._per_prompt = per_prompt
        self._reasoning = [ReasoningCount(marks) for _ in range(choices)] if marks else []

    def add(self, choice: int, delta: Delta) -> None:
        self._last[choice] = delta
        if self._reasoning:
            self._reasoning[choice].add(delta.ids)

    @property
    def prompt(self) -> int:
        firsts = self._last[:: self._per_prompt]
        return sum(d.prompt_tokens for d in firsts if d is not None)

    @property
    def completion(self) -> int:
        return sum(d.completion_tokens for d in self._last if d is not None)

    @property
    def cached(self) -> int:
        firsts = self._last[:: self._per_prompt]
        return sum(int((d.timings or {}).get("cached_tokens", 0)) for d in firsts if d is not None)

    @property
    def reasoning(self) -> int:
        return sum(count.tokens for count in self._reasoning)

    def body(self) -> dict[str, Any]:
        """``usage`` of a chat or completion."""
        found: dict[str, Any] = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }
        if self._reasoning:
            found["completion_tokens_details"] = {"reasoning_tokens": self.reasoning}
        return found

    def response_body(self) -> dict[str, Any]:
        """``usage`` of a response."""
        return {
            "input_tokens": self.prompt,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": 0},
            "output_tokens": self.completion,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.prompt + self.completion,
        }
