"""Failures as the exceptions of Dynamo's library."""

from __future__ import annotations

from dynamo.llm import exceptions

from gemma4_dynamo.failures import Failure

__all__ = ["exception_of"]


def exception_of(failure: Failure) -> Exception:
    """Return the exception to raise in a handler."""
    made: Exception
    if failure.status:
        made = exceptions.HttpError(failure.status, failure.message)
    else:
        made = getattr(exceptions, failure.kind)(failure.message)
    return made
