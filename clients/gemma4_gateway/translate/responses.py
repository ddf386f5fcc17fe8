"""/v1/responses -> the chat request that asks the same, and its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gemma4_gateway.errors import invalid
from gemma4_gateway.schemas.responses import (
    ENCRYPTED,
    LOG_PROBS,
    ResponseJsonSchema,
    ResponsesRequest,
)
from gemma4_gateway.schemas.tools import (
    JsonObjectFormat,
    JsonSchema,
    JsonSchemaFormat,
    ResponseFormat,
)
from gemma4_gateway.translate.chat import ChatParts, plan_parts
from gemma4_gateway.translate.items import input_messages
from gemma4_gateway.translate.request_plan import Plan
from gemma4_gateway.translate.response_tools import Called, ShownTools, shown_tools, unsupported

__all__ = ["ResponsePlan", "plan_responses"]

_NAMES = {
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
}
_PASSED_ON = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_OF_VLLM = ("min_p", "repetition_penalty")
"""As vLLM takes them here; the response does not repeat them."""
_ONLY_VERBOSITY = "medium"


@dataclass(frozen=True, slots=True)
class ResponsePlan:
    """``plan`` is the work; ``said`` what the response repeats of its request; ``called`` what the
    functions that the model may call are for the client. ``encrypted``: reasoning items have
    ``encrypted_content``."""

    plan: Plan
    said: dict[str, Any]
    called: dict[str, Called]
    encrypted: bool


def plan_responses(
    body: ResponsesRequest,
    *,
    drop: bool = False,
    earlier: Sequence[dict[str, Any]] = (),
    stores: bool = False,
) -> ResponsePlan:
    """Plan the calls. ``drop``: leave out what does not exist here rather than refuse it.
    ``earlier`` are the items of ``previous_response_id``. ``stores``: a response is stored unless
    ``store`` is false. Raises :class:`~gemma4_gateway.errors.ApiError` 400."""
    if body.stream_options is not None and not body.stream:
        raise invalid("stream_options", "needs stream: true")
    verbosity = body.text.verbosity if body.text else None
    if verbosity not in (None, _ONLY_VERBOSITY) and not drop:
        raise unsupported("text.verbosity", f"{verbosity}: say it in the instructions")
    shown = shown_tools(body, drop=drop)
    messages, items = input_messages(body.instructions, body.input, earlier=earlier, drop=drop)
    effort = body.reasoning.effort if body.reasoning else None
    include = body.include or []
    plan = plan_parts(
        ChatParts(
            model=body.named,
            messages=messages,
            options=_options(body),
            tools=shown.tools,
            tool_choice=shown.choice,
            one_tool_call=body.parallel_tool_calls is False,
            response_format=_form(body),
            thinking=None if effort in (None, "none") else "reasoning.effort",
            log_probs=LOG_PROBS in include or bool(body.top_logprobs),
            top_log_probs=body.top_logprobs or 0,
            stream=bool(body.stream),
            seed=body.seed,
            cache_key=body.prompt_cache_key,
            names=_NAMES | items | shown.places,
        )
    )
    said = _said(body, shown) | {"store": stores and body.store is not False}
    return ResponsePlan(plan, said, shown.called, ENCRYPTED in include)


def _options(body: ResponsesRequest) -> dict[str, Any]:
    options: dict[str, Any] = {
        name: value
        for name in (*_PASSED_ON, *_OF_VLLM)
        if (value := getattr(body, name)) is not None
    }
    if body.top_k is not None:
        options["top_k"] = max(body.top_k, 0)
    if body.max_output_tokens is not None:
        options["max_tokens"] = body.max_output_tokens
    return options


def _form(body: ResponsesRequest) -> ResponseFormat | None:
    form = body.text.format if body.text else None
    if isinstance(form, ResponseJsonSchema):
        schema = JsonSchema.model_validate({"name": form.name, "schema": form.schema_})
        return JsonSchemaFormat(type="json_schema", json_schema=schema)
    return form if isinstance(form, JsonObjectFormat) else None


def _said(body: ResponsesRequest, shown: ShownTools) -> dict[str, Any]:
    given = body.model_dump(include={"tool_choice"}, exclude_none=True)
    return {
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "reasoning": {
            "effort": body.reasoning.effort if body.reasoning else None,
            "summary": None,
        },
        "text": {"format": _said_form(body)},
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": shown.said,
        "top_logprobs": body.top_logprobs or 0,
        "truncation": "disabled",
        "user": body.user,
        "metadata": body.metadata or {},
        "service_tier": "default",
        "background": False,
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
    } | {name: getattr(body, name) for name in _PASSED_ON}


def _said_form(body: ResponsesRequest) -> dict[str, Any]:
    form = body.text.format if body.text else None
    if form is None:
        return {"type": "text"}
    if isinstance(form, ResponseJsonSchema):
        missing = {"description": None, "strict": True}  # it is followed in any case
        return missing | form.model_dump(by_alias=True, exclude_none=True)
    return form.model_dump()
