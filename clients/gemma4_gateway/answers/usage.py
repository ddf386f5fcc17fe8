"""Token counts of a request."""

from __future__ import annotations

from typing import Any

from gemma4_client import Delta

__all__ = ["UsageCount", "usage_of"]


def usage_of(delta: Delta) -> dict[str, int]:
    """Return ``usage`` of one choice so far, as vLLM has it in every event."""
    prompt, completion = delta.prompt_tokens, delta.completion_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


class UsageCount:
    """Of all choices. ``per_prompt`` choices share a prompt, whose tokens count once."""

    def __init__(self, choices: int, *, per_prompt: int) -> None:
        self._last: list[Delta | None] = [None] * choices
        self._per_prompt = per_prompt

    def add(self, choice: int, delta: Delta) -> None:
        self._last[choice] = delta

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
        return sum(d.reasoning_tokens for d in self._last if d is not None)

    def body(self) -> dict[str, Any]:
        """Return ``usage`` of a chat or completion."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }

    def message_body(self) -> dict[str, Any]:
        """Return ``usage`` of a message of Anthropic's API, whose ``input_tokens`` are those that
        no cache had."""
        return {
            "input_tokens": self.prompt - self.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": self.cached,
            "output_tokens": self.completion,
            "output_tokens_details": {"thinking_tokens": self.reasoning},
        }

    def response_body(self) -> dict[str, Any]:
        """Return ``usage`` of a response."""
        return {
            "input_tokens": self.prompt,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": 0},
            "output_tokens": self.completion,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.prompt + self.completion,
        }
