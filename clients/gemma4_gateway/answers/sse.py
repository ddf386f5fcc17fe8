"""Server-sent events."""

from __future__ import annotations

from typing import Any

import orjson

from gemma4_gateway.errors import ApiError

__all__ = ["DONE", "error_event", "event", "named_event"]

DONE = b"data: [DONE]\n\n"


def event(value: Any) -> bytes:
    """One event of JSON."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


def named_event(name: str, value: Any) -> bytes:
    """One event with its type on a line of its own."""
    return b"event: " + name.encode() + b"\n" + event(value)


def error_event(error: ApiError) -> bytes:
    """The last event of a stream that failed: no [DONE] follows, the answer is not whole."""
    return event(error.body())
