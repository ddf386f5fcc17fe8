"""/v1/messages -> the chat request that asks the same, and its plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gemma4_gateway.schemas.anthropic import CountTokensRequest, MessagesRequest
from gemma4_gateway.schemas.tools import JsonSchema, JsonSchemaFormat
from gemma4_gateway.translate.anthropic_tools import chat_choice, chat_tool, seen_tools
from gemma4_gateway.translate.anthropic_turns import conversation
from gemma4_gateway.translate.chat import ChatParts, plan_parts
from gemma4_gateway.translate.request_plan import Plan

__all__ = ["plan_messages"]

_NAMES = {
    "stop_words": "stop_sequences",
    "response_format": "output_config.format",
    "guided_decoding_guide": "output_config.format",
    "guided_decoding_guide_type": "output_config.format",
    "enable_thinking": "thinking",
}


def plan_messages(body: CountTokensRequest) -> Plan:
    """Plan the call; of a body without ``max_tokens``, the prompt of the call. Raises
    :class:`~gemma4_gateway.errors.ApiError` 400."""
    messages, names = conversation(body.system, body.messages)
    tools = seen_tools(body)
    for index, (place, _) in enumerate(tools):
        names[f"tools[{index}].function"] = f"tools[{place}]"
        names[f"tools[{index}].function.parameters"] = f"tools[{place}].input_schema"
    choice = body.tool_choice
    last = len(body.messages) - 1
    names["continue_final_message"] = f"messages[{last}]"
    plan = plan_parts(
        ChatParts(
            model=body.model,
            messages=messages,
            options=_options(body) if isinstance(body, MessagesRequest) else {},
            tools=[chat_tool(tool) for _, tool in tools],
            tool_choice=chat_choice(choice),
            one_tool_call=bool(choice and choice.disable_parallel_tool_use),
            response_format=_form(body),
            thinking="thinking" if body.thinking is not None and body.thinking.on else None,
            log_probs=False,
            top_log_probs=0,
            continued=body.messages[last].role == "assistant",
            stream=isinstance(body, MessagesRequest) and bool(body.stream),
            seed=None,
            cache_key=None,
            names=_NAMES | names,
        )
    )
    return replace(plan, whole_room=True)


def _options(body: MessagesRequest) -> dict[str, Any]:
    options: dict[str, Any] = {"max_tokens": body.max_tokens}
    for name in ("temperature", "top_p", "top_k"):
        if (value := getattr(body, name)) is not None:
            options[name] = value
    if body.stop_sequences:
        options["stop_words"] = body.stop_sequences
    return options


def _form(body: CountTokensRequest) -> JsonSchemaFormat | None:
    if body.output_config is None or body.output_config.format is None:
        return None
    form = body.output_config.format
    schema = JsonSchema.model_validate({"name": "format", "schema": form.schema_})
    return JsonSchemaFormat(type="json_schema", json_schema=schema)
