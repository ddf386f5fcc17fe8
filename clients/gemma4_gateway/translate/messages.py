"""Messages and tools as the engine takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gemma4_gateway.errors import invalid
from gemma4_gateway.schemas.chat import ChatCompletionRequest, ChatMessage
from gemma4_gateway.schemas.tokenize import TokenizeRequest
from gemma4_gateway.schemas.tools import Tool

__all__ = ["engine_messages", "engine_tools", "is_continued"]


def engine_messages(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Return the messages without nulls and without what clients add to a message of their own
    accord."""
    return [_message(message) for message in messages]


def is_continued(body: ChatCompletionRequest | TokenizeRequest) -> bool:
    """Return whether the last message goes on, instead of a new turn of the model. Raises
    :class:`~gemma4_gateway.errors.ApiError` 400 for a prompt that ends in neither way."""
    if body.continue_final_message and body.add_generation_prompt:
        raise invalid(
            "add_generation_prompt",
            "true asks for a new turn of the model, continue_final_message for none; send one of "
            "them",
        )
    if body.add_generation_prompt is False and not body.continue_final_message:
        raise invalid(
            "add_generation_prompt",
            "false leaves no turn for the model to write in; leave it out, or have the last "
            "message go on with continue_final_message: true",
        )
    return bool(body.continue_final_message)


def _message(message: ChatMessage) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name is not None:
        found["name"] = message.name
    if message.tool_call_id is not None:
        found["tool_call_id"] = message.tool_call_id
    if message.reasoning_content is not None:
        found["reasoning_content"] = message.reasoning_content
    elif message.reasoning is not None:
        found["reasoning_content"] = message.reasoning
    if message.tool_calls:
        found["tool_calls"] = [
            call.model_dump(
                exclude={"index": True, "function": {"parsed_arguments"}}, exclude_none=True
            )
            for call in message.tool_calls
        ]
    if message.role == "assistant" and message.content is None and not message.tool_calls:
        found["content"] = message.refusal or ""
    return found


def engine_tools(tools: Sequence[Tool] | None) -> list[dict[str, Any]] | None:
    """Return the declarations without ``strict``; None for none."""
    if not tools:
        return None
    return [
        {
            "type": "function",
            "function": tool.function.model_dump(exclude={"strict"}, exclude_none=True),
        }
        for tool in tools
    ]
