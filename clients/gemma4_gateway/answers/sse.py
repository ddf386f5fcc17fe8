"""Server-sent events."""

from __future__ import annotations

from typing import Any

from gemma4_gateway.errors import ApiError
from gemma4_gateway.jsons import dumps

__all__ = ["DONE", "error_event", "event", "named_event", "on_one_line"]

DONE = b"data: [DONE]\n\n"
_BREAKS = tuple((mark.encode(), b"\\u%04x" % ord(mark)) for mark in "\x85\u2028\u2029")
"""They end a line for many readers of events, though not for the standard, and can stand in the
strings of JSON only."""


def on_one_line(data: bytes) -> bytes:
    """Return events of JSON, with escapes for characters that some readers take for the end of a
    line."""
    for mark, escaped in _BREAKS:
        data = data.replace(mark, escaped)
    return data


def event(value: Any) -> bytes:
    """Return one event of JSON."""
    return b"data: " + dumps(value) + b"\n\n"


def named_event(name: str, value: Any) -> bytes:
    """Return one event with its type on a line of its own."""
    return b"event: " + name.encode() + b"\n" + event(value)


def error_event(error: ApiError) -> bytes:
    """Return the last event of a stream that failed: no [DONE] follows, the answer is not whole."""
    return event(error.body())
