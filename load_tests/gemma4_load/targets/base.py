"""A server under load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gemma4_client import Delta

from gemma4_load.workloads.base import Ask, Reply
from gemma4_load.workloads.words import Words

__all__ = ["Seen", "Target", "take"]

Seen = Callable[[int], bool]
"""Told of every chunk that shows something, with its tokens (0: the server does not say); False
means that the client leaves now."""


class Target(Protocol):
    """``describe`` says what answers there, for the report."""

    url: str

    async def ask(self, ask: Ask, seen: Seen) -> Reply:
        """One streamed request. Raises :class:`~gemma4_load.errors.TargetError`."""

    async def ready(self) -> bool: ...

    async def words(self) -> Words: ...

    async def describe(self) -> dict[str, Any]: ...

    async def close(self) -> None: ...


def take(reply: Reply, delta: Delta, held: int) -> tuple[int, bool]:
    """Put a chunk of the SDK into ``reply``. Returns its tokens, with those ``held`` from chunks
    that showed nothing, and whether it shows something."""
    reply.text += delta.text
    reply.tool_calls += delta.tool_calls
    reply.prompt_tokens = delta.prompt_tokens
    reply.output_tokens = delta.completion_tokens
    reply.finish_reason = delta.finish_reason
    reply.timings = delta.timings or {}
    return held + len(delta.ids), bool(delta.text or delta.reasoning or delta.tool_calls)
