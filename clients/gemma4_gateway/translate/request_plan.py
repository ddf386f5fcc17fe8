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
    """One answer to generate: ``messages`` (with ``tools``), ``text`` or ``token_ids``, and input
    tensors. ``names`` are as those of the plan, for this call."""

    messages: list[dict[str, Any]] | None
    text: str | None
    tools: list[dict[str, Any]] | None
    options: dict[str, Any]
    token_ids: list[int] | None = None
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """``calls`` has one entry per choice. ``affinity`` names what requests with a shared prefix
    have in common. ``per_prompt`` choices share a prompt. ``names`` maps tensors to the parameters
    they came from, for messages. ``continuous_usage``: every event has its choice's tokens so far.
    ``allowed``: calls of other tools are left out. ``token_ids``: the answer says them.
    ``whole_room``: where there is room for fewer tokens than ``max_tokens``, the answer may have
    all of it; otherwise that is refused."""

    model: str
    calls: list[EngineCall]
    stream: bool
    affinity: bytes
    include_usage: bool = False
    continuous_usage: bool = False
    log_probs: bool = False
    tool_mode: ToolMode = "none"
    tool_name: str = ""
    one_tool_call: bool = False
    token_ids: bool = False
    allowed: frozenset[str] | None = None
    per_prompt: int = 1
    whole_room: bool = False
    names: dict[str, str] = field(default_factory=dict)
    top_log_probs: int = 0


def affinity(head: bytes) -> bytes:
    """For :attr:`Plan.affinity`, of what the requests have in common."""
    return hashlib.blake2b(head, digest_size=8).digest()
