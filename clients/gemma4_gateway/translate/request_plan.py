"""What a request means: calls to the engine, and how their answers are shown."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["EngineCall", "Plan", "ToolMode", "affinity"]

ToolMode = Literal["none", "native", "named", "required"]
"""What becomes of tools: not allowed; the engine parses the model's own calls; the guided text is
the arguments of one named function; the guided text is a list of calls."""


@dataclass(frozen=True, slots=True)
class EngineCall:
    """One answer to generate: ``messages`` (with ``tools``) or ``text``, and input tensors."""

    messages: list[dict[str, Any]] | None
    text: str | None
    tools: list[dict[str, Any]] | None
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """``calls`` has one entry per choice. ``affinity`` names what requests with a shared prefix
    have in common. ``per_prompt`` choices share a prompt. ``names`` maps tensors to the parameters
    they came from, for messages. ``whole_room``: where there is room for fewer tokens than
    ``max_tokens``, the answer may have all of it; otherwise that is refused."""

    model: str
    calls: list[EngineCall]
    stream: bool
    affinity: bytes
    include_usage: bool = False
    log_probs: bool = False
    tool_mode: ToolMode = "none"
    tool_name: str = ""
    one_tool_call: bool = False
    per_prompt: int = 1
    whole_room: bool = False
    names: dict[str, str] = field(default_factory=dict)


def affinity(head: bytes) -> bytes:
    """For :attr:`Plan.affinity`, of what the requests have in common."""
    return hashlib.blake2b(head, digest_size=8).digest()
