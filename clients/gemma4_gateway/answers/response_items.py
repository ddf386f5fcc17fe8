"""Output items of /v1/responses, as they begin and as they end."""

from __future__ import annotations

import json
import uuid
from typing import Any

from gemma4_gateway.translate.response_tools import Called

__all__ = ["call_item", "custom_input", "message_item", "new_id", "reasoning_item"]


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


def message_item() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an empty message, and the part that its text goes to."""
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    item = {"id": new_id("msg"), "type": "message", "role": "assistant"}
    return item | {"status": "in_progress", "content": []}, part


def reasoning_item() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return empty thoughts, and the part that their text goes to."""
    item = {"id": new_id("rs"), "type": "reasoning", "summary": []}
    return item | {"status": "in_progress", "content": []}, {"type": "reasoning_text", "text": ""}


def call_item(call: dict[str, Any], called: Called) -> dict[str, Any]:
    """Return a call without its arguments."""
    item = {
        "id": new_id("ctc" if called.custom else "fc"),
        "type": "custom_tool_call" if called.custom else "function_call",
        "call_id": call["id"],
        "name": called.name,
        "input" if called.custom else "arguments": "",
        "status": "in_progress",
    }
    return item | {"namespace": called.namespace} if called.namespace else item


def custom_input(arguments: str) -> str:
    """Return the text in the arguments of the function that a custom tool is for the model; the
    arguments themselves where they were cut off or are of another form."""
    try:
        text = json.loads(arguments)["input"]
    except (ValueError, KeyError, TypeError):
        return arguments
    return text if isinstance(text, str) else arguments
