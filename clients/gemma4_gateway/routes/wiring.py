"""What every route needs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from gemma4_gateway.gateway import Gateway

__all__ = ["ANTHROPIC_ERRORS", "ERRORS", "STREAM", "TheGateway"]


async def _gateway(request: Request) -> Gateway:
    found: Gateway = request.app.state.gateway
    return found


TheGateway = Annotated[Gateway, Depends(_gateway)]

_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


_ANTHROPIC_SCHEMA = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}


def _error(description: str, schema: dict[str, Any] = _ERROR_SCHEMA) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": schema}},
    }


ERRORS: dict[int | str, dict[str, Any]] = {
    400: _error("A parameter is wrong or not supported; `param` names it."),
    401: _error("No API key, or an unknown one."),
    404: _error("No such model."),
    408: _error("The body did not arrive."),
    413: _error("The body is too large."),
    429: _error("A limit is reached, or every back end is full; see Retry-After."),
    500: _error("The engine failed."),
    503: _error("Draining, or no back end is ready; see Retry-After."),
    504: _error("The time for one answer is over."),
}

ANTHROPIC_ERRORS = {
    status: _error(error["description"], _ANTHROPIC_SCHEMA) for status, error in ERRORS.items()
}
"""In the form of Anthropic's API."""

STREAM: dict[str, Any] = {
    "text/event-stream": {
        "itemSchema": {
            "type": "object",
            "required": ["data"],
            "properties": {
                "event": {"type": "string"},
                "data": {"type": "string", "description": "JSON, or at the end [DONE]."},
            },
        }
    }
}
"""Server-sent events, as FastAPI describes its own: each of them."""
