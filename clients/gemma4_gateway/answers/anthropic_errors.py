"""Errors in the form of the path that was called: Anthropic's for /v1/messages, else OpenAI's."""

from __future__ import annotations

from typing import Any

from gemma4_gateway.answers.sse import named_event
from gemma4_gateway.errors import ApiError
from gemma4_gateway.jsons import dumps
from gemma4_gateway.record import Record

__all__ = ["anthropic_error", "anthropic_event", "error_json"]

_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}
_TOO_LONG = "prompt is too long"
"""Words of Anthropic's message, by which coding agents know that they have to shorten the
conversation."""
_FULL = {
    "overloaded", "gateway_full", "queue_timeout", "wait_too_long", "draining", "unavailable"
}  # fmt: skip
"""Codes of errors that are the server's state and no limit of the caller."""


def anthropic_error(error: ApiError, request_id: str) -> dict[str, Any]:
    """Return the body. ``type`` is one of those of Anthropic's API."""
    kind = "api_error" if error.status >= 500 else "invalid_request_error"
    kind = _KINDS.get(error.status, kind)
    if error.code in _FULL:
        kind = "overloaded_error"
    long = error.code == "context_length_exceeded"
    text = error.message
    if long:  # at the beginning, as Anthropic has it
        text = f"{_TOO_LONG}: {text.replace(f'the {_TOO_LONG}: ', '')}"
    told = {"type": kind, "message": text}
    return {"type": "error", "error": told, "request_id": request_id}


def anthropic_event(error: ApiError, request_id: str) -> bytes:
    """Return the last event of an answer that failed."""
    return named_event("error", anthropic_error(error, request_id))


def error_json(error: ApiError, record: Record) -> bytes:
    """Return the body of an answer to the request of ``record``."""
    if record.anthropic:
        return dumps(anthropic_error(error, record.request_id))
    return error.json()
