"""Failures as the exceptions of Dynamo's library."""

from __future__ import annotations

from dynamo.llm import exceptions

from gemma4_dynamo.failures import Failure

__all__ = ["exception_of"]


def exception_of(failure: Failure) -> Exception:
    """Return the exception to raise in a handler."""
    if failure.status:
        return exceptions.HttpError(failure.status, failure.message)
    kind: type[Exception] = getattr(exceptions, failure.kind)
    return kind(failure.message)
