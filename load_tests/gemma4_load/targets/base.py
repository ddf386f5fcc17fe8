"""A server under load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from gemma4_client import Delta, Gemma4Error

from gemma4_load.errors import TargetError
from gemma4_load.workloads.base import Ask, Reply
from gemma4_load.workloads.words import Words

__all__ = ["Intake", "Seen", "Target", "failure_of", "sdk_errors"]

Seen = Callable[[int], bool]
"""Told of every chunk that shows something, with its tokens (0: the server does not say); False
means that the client leaves now."""


def failure_of(error: Exception) -> TargetError:
    """Return any exception of :meth:`Target.ask` as a failed request: an answer that cannot be read
    is one too."""
    if isinstance(error, TargetError):
        return error
    return TargetError("INTERNAL", f"unexpected {type(error).__name__}: {error}")


class Target(Protocol):
    """``describe`` says what answers there, for the report."""

    url: str

    async def ask(self, ask: Ask, seen: Seen) -> Reply:
        """Send one streamed request. Raises :class:`~gemma4_load.errors.TargetError`."""

    async def ready(self) -> bool: ...

    async def words(self) -> Words: ...

    async def describe(self) -> dict[str, Any]: ...

    async def close(self) -> None: ...


class Intake:
    """Puts the chunks of the SDK into :attr:`reply`, and tells ``seen``."""

    def __init__(self, seen: Seen) -> None:
        self.reply = Reply()
        self._seen = seen
        self._held = 0

    def add(self, delta: Delta) -> bool:
        """Count a chunk; return False when the client leaves before the end. A token that shows
        nothing yet counts with the next chunk that does."""
        reply = self.reply
        reply.text += delta.text
        reply.tool_calls += delta.tool_calls
        reply.prompt_tokens = delta.prompt_tokens
        reply.output_tokens = delta.completion_tokens
        reply.finish_reason = delta.finish_reason
        reply.timings = delta.timings or {}
        self._held += len(delta.ids)
        if not (delta.text or delta.reasoning or delta.tool_calls):
            return True
        tokens, self._held = self._held, 0
        return self._seen(tokens) or bool(delta.finish_reason)


@contextmanager
def sdk_errors() -> Iterator[None]:
    """Turn the SDK's errors into :class:`~gemma4_load.errors.TargetError`."""
    try:
        yield
    except Gemma4Error as error:
        raise TargetError(error.status, str(error), code=error.code) from None
    except ValueError as error:
        raise TargetError("INVALID_ARGUMENT", str(error)) from None
