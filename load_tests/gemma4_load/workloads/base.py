"""What a workload gives and gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

__all__ = ["Ask", "Reply", "Workload"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``options`` are those of :class:`gemma4_client.Options`. ``leave_after``: this
    client leaves when so many tokens have come. ``at``: when it is due, in seconds since the start,
    where the workload says so (a trace)."""

    workload: str
    messages: list[dict[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)
    tools: list[dict[str, Any]] | None = None
    leave_after: int | None = None
    at: float | None = None


@dataclass(slots=True)
class Reply:
    """What a server answered, as far as a workload or a record needs it."""

    text: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    prompt_tokens: int = 0
    output_tokens: int = 0
    finish_reason: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)

    def as_message(self) -> dict[str, Any]:
        """Return the assistant's message of the next request."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        return message


class Workload:
    """Where requests come from. ``rng`` is seeded from the run's seed and the request's number, so
    a run asks the same whatever the timing was."""

    name: ClassVar[str]

    def first(self, rng: np.random.Generator) -> Ask:
        """Return a request that follows on nothing."""
        raise NotImplementedError

    def follow(self, ask: Ask, reply: Reply, rng: np.random.Generator) -> Ask | None:
        """Return the request after this answer (a conversation's next turn, a tool's result), or
        None."""
        return None
