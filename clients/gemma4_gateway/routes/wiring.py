"""What every route needs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from gemma4_gateway.gateway import Gateway

__all__ = ["ERRORS", "STREAM", "TheGateway"]


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


def _error(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": _ERROR_SCHEMA}},
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

STREAM: dict[str, Any] = {"text/event-stream": {"schema": {"type": "string"}}}
