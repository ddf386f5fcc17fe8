"""/v1/responses -> the chat request that asks the same, and its plan."""

from __future__ import annotations

from typing import Any

from gemma4_gateway.errors import invalid
from gemma4_gateway.schemas.responses import (
    NamedResponseTool,
    ResponseJsonSchema,
    ResponsesRequest,
    ResponseTool,
)
from gemma4_gateway.schemas.tools import (
    FunctionTool,
    JsonObjectFormat,
    JsonSchema,
    JsonSchemaFormat,
    NamedFunction,
    NamedTool,
    ResponseFormat,
    Tool,
)
from gemma4_gateway.translate.chat import ChatParts, plan_parts
from gemma4_gateway.translate.items import input_messages
from gemma4_gateway.translate.request_plan import Plan

__all__ = ["echo", "plan_responses"]

_NAMES = {
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
}


def plan_responses(body: ResponsesRequest) -> Plan:
    """Plan the calls. Raises :class:`~gemma4_gateway.errors.ApiError` 400."""
    if body.stream_options is not None and not body.stream:
        raise invalid("stream_options", "needs stream: true")
    options: dict[str, Any] = {
        name: value
        for name in ("temperature", "top_p")
        if (value := getattr(body, name)) is not None
    }
    if body.top_k is not None:
        options["top_k"] = max(body.top_k, 0)
    if body.max_output_tokens is not None:
        options["max_tokens"] = body.max_output_tokens
    messages, items = input_messages(body.instructions, body.input)
    tools = body.tools or []
    flat = {f"tools[{i}].function": f"tools[{i}]" for i in range(len(tools))}
    effort = body.reasoning.effort if body.reasoning else None
    choice = body.tool_choice
    return plan_parts(
        ChatParts(
            model=body.model,
            messages=messages,
            options=options,
            tools=[_tool(tool) for tool in tools],
            tool_choice=NamedTool(type="function", function=NamedFunction(name=choice.name))
            if isinstance(choice, NamedResponseTool)
            else choice,
            one_tool_call=body.parallel_tool_calls is False,
            response_format=_form(body),
            thinking=None if effort in (None, "none") else "reasoning.effort",
            log_probs=bool(body.include or body.top_logprobs),
            top_log_probs=body.top_logprobs or 0,
            stream=bool(body.stream),
            seed=body.seed,
            cache_key=body.prompt_cache_key,
            names=_NAMES | items | flat,
        )
    )


def _tool(tool: ResponseTool) -> Tool:
    return Tool(
        type="function",
        function=FunctionTool(
            name=tool.name,
            description=tool.description,
            parameters=tool.parameters,
            response=tool.response,
            strict=tool.strict,
        ),
    )


def _form(body: ResponsesRequest) -> ResponseFormat | None:
    form = body.text.format if body.text else None
    if isinstance(form, ResponseJsonSchema):
        schema = JsonSchema.model_validate({"name": form.name, "schema": form.schema_})
        return JsonSchemaFormat(type="json_schema", json_schema=schema)
    return form if isinstance(form, JsonObjectFormat) else None


def echo(body: ResponsesRequest) -> dict[str, Any]:
    """Return what a response says of its request."""
    given = body.model_dump(by_alias=True, exclude_none=True)
    return {
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {
            "effort": body.reasoning.effort if body.reasoning else None,
            "summary": None,
        },
        "store": False,
        "temperature": body.temperature,
        "text": given.get("text") or {"format": {"type": "text"}},
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": [{"description": None, "strict": None} | tool for tool in given.get("tools", [])],
        "top_p": body.top_p,
        "truncation": "disabled",
        "user": body.user,
        "metadata": body.metadata or {},
        "service_tier": "default",
        "background": False,
    }
