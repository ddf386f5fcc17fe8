"""Errors of the engine as errors of Dynamo, by name. Pure.

Dynamo's frontend sends a request to another worker only after the errors that it calls migratable,
and only within ``--migration-limit``; see docs/dynamo.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_client import (
    CancelledError,
    DeadlineExceededError,
    Gemma4Error,
    InvalidRequestError,
    UnavailableError,
)
from gemma4_runtime.error_codes import Code

__all__ = ["Failure", "failure_of", "never_begun", "stopping"]

_MOVES = "Disconnected"
"""What an error is called after which another worker may have the request; Dynamo goes on sending
requests to this one."""
_LEAVES = "EngineShutdown"
"""The same, and Dynamo sends this worker nothing for some seconds."""
_GOING = frozenset({Code.DRAINING, Code.SERVER_STOPPED, Code.QUALITY_GATE_FAILED})
_TIMEOUT_STATUS = 408
"""HTTP status for an answer that its own deadline ended."""


@dataclass(frozen=True, slots=True)
class Failure:
    """``kind`` is the name of an exception of ``dynamo.llm.exceptions``, or "" for one that has an
    HTTP ``status`` instead."""

    kind: str
    message: str
    status: int = 0


def never_begun(error: Gemma4Error) -> bool:
    """Return whether another server may have the request, since this one provably did not begin
    it."""
    return isinstance(error, UnavailableError) and error.refused


def failure_of(error: Gemma4Error, *, any_ready: bool) -> Failure:
    """Return how Dynamo hears of ``error``. ``any_ready``: the worker has a server that can
    answer."""
    text = str(error)
    if isinstance(error, InvalidRequestError):
        return Failure("InvalidArgument", text)
    if isinstance(error, CancelledError):
        return Failure("Cancelled", text)
    if isinstance(error, DeadlineExceededError):
        return Failure("", text, status=_TIMEOUT_STATUS)
    if isinstance(error, UnavailableError) or error.code == Code.ENGINE_LOST:
        return Failure(_MOVES if any_ready and error.code not in _GOING else _LEAVES, text)
    return Failure("Unknown", text)


def stopping() -> Failure:
    """Return how Dynamo hears that the worker ends before an answer is whole."""
    return Failure(_LEAVES, "the worker stopped before the answer was whole")
