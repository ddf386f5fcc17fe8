"""Has Triton pass on the headers of a trace, where the environment asks for spans."""

from __future__ import annotations

from collections.abc import Mapping

from gemma4_runtime.trace_context import TRACE_FIELDS
from gemma4_runtime.tracing.environment import TracingError, wants_traces

__all__ = ["trace_arguments"]

_PATTERN = f"(?i)^({'|'.join(sorted(TRACE_FIELDS))})$"
"""Triton matches the names of all headers of a request with it, so it is not given for nothing."""


def trace_arguments(env: Mapping[str, str]) -> list[str]:
    """Return the arguments by which tritonserver makes parameters of these headers, which the
    models read. Clients that know only headers (any HTTP client with OpenTelemetry) join a trace
    so; our own put it into the request."""
    try:
        asked = wants_traces(env)
    except TracingError:  # the model that would make the spans says so
        asked = False
    if not asked:
        return []
    return [f"--{protocol}-header-forward-pattern={_PATTERN}" for protocol in ("http", "grpc")]
