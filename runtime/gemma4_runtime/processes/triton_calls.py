"""How long this process has waited for Triton to take a response, or to answer a question.

Triton's gRPC can lock itself for good: the thread that passes on the last response of a call takes
two locks in one order, and the thread that hears of the call's cancel in the other
(``StreamInferResponseComplete`` and ``IssueRequestCancellation`` in Triton's
``src/grpc``; seen with 2.51, the same in the source of August 2026). Whoever sent the response
waits then, without a processor and without an end, while Triton says that it is ready. So each
process notes since when it waits, the heartbeat shows that to ``gemma4 serve``, and that starts
the server again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import get_ident
from typing import Any, Protocol, TypeVar

__all__ = ["Sender", "asked", "waits_since"]

_T = TypeVar("_T")
_began: dict[int, int] = {}
"""When the call of a thread began, by the thread's id: nanoseconds of the monotonic clock."""


class _TritonSender(Protocol):
    def send(self, response: Any = None, flags: int = 0) -> None: ...
    def is_cancelled(self) -> bool: ...


class Sender:
    """A response sender of Triton. Raises what that raises."""

    __slots__ = ("_sender",)

    def __init__(self, sender: _TritonSender) -> None:
        self._sender = sender

    def send(self, response: Any = None, flags: int = 0) -> None:
        """Send a response (None: flags only)."""
        thread = get_ident()
        _began[thread] = time.monotonic_ns()
        try:
            self._sender.send(response, flags=flags)
        finally:
            del _began[thread]

    def is_cancelled(self) -> bool:
        """Return whether the client has left."""
        return asked(self._sender.is_cancelled)


def asked(question: Callable[[], _T]) -> _T:
    """Return what Triton answers to ``question``."""
    thread = get_ident()
    _began[thread] = time.monotonic_ns()
    try:
        return question()
    finally:
        del _began[thread]


def waits_since() -> int:
    """Return when the oldest call began that has not returned, in nanoseconds of the monotonic
    clock; 0 without one."""
    return min(list(_began.values()), default=0)
