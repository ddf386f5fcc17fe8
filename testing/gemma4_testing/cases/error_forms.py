"""The form of an error, which differs between the APIs of the gateway."""

from __future__ import annotations

from typing import Any

__all__ = ["error_of"]


def error_of(path: str, body: Any) -> dict[str, Any]:
    """Return ``error`` of the body of an answer, after checking its form."""
    error: dict[str, Any] = body["error"]
    if path.startswith("/v1/messages"):
        assert set(body) == {"type", "error", "request_id"}, body
        assert body["type"] == "error"
        assert set(error) == {"type", "message"}, body
    else:
        assert set(body) == {"error"}, body
        assert set(error) == {"message", "type", "param", "code"}, body
    return error
