"""Hooks of schemathesis' command (SCHEMATHESIS_HOOKS): requests that are right shall be answered by
:func:`~gemma4_testing.fakes.in_process_gateway.gateway_before`."""

from __future__ import annotations

from typing import Any

import schemathesis

_HARD_TO_GUESS = ("previous_response_id", "tools", "tool_choice", "text", "include")


def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Name the model that there is, and keep what a response would be refused for out of it."""
    body = case.body
    if not isinstance(body, dict):
        return
    if isinstance(body.get("model"), str):
        body["model"] = "m"
    if case.path == "/v1/responses" and isinstance(body.get("input"), str):
        for name in _HARD_TO_GUESS:
            body.pop(name, None)
        body["input"] = body["input"] or "Hi"


schemathesis.hook(before_call)
