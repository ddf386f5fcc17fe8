"""/v1/chat/completions -> plan."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from gemma4_gateway.errors import invalid
from gemma4_gateway.schemas.chat import ChatCompletionRequest
from gemma4_gateway.schemas.tools import NamedTool
from gemma4_gateway.translate.guides import (
    Guide,
    format_guide,
    named_tool_schema,
    pick_guide,
    required_tools_schema,
)
from gemma4_gateway.translate.messages import engine_messages, engine_tools
from gemma4_gateway.translate.options import sampling_options, seeded
from gemma4_gateway.translate.plan import EngineCall, Plan, ToolMode

__all__ = ["affinity_of", "plan_chat"]


def plan_chat(body: ChatCompletionRequest) -> Plan:
    """Raises :class:`~gemma4_gateway.errors.ApiError` 400 for parameters that contradict."""
    options = sampling_options(body, max_tokens=_max_tokens(body))
    mode, tool_name, tool_guide = _tool_mode(body)
    form = format_guide(body.response_format, body.structured_outputs, source="response_format")
    guide = pick_guide(form, tool_guide)
    names = {"max_tokens": "max_completion_tokens"} if body.max_completion_tokens else {}
    if guide is not None:
        options |= guide.options()
        for tensor in ("guided_decoding_guide", "guided_decoding_guide_type"):
            names[tensor] = guide.source
    if _thinking(body, guide):
        options["enable_thinking"] = True
    if body.logprobs:
        options["return_log_probs"] = True
    messages = engine_messages(body.messages)
    tools = None if mode == "none" else engine_tools(body.tools)
    return Plan(
        model=body.model,
        calls=[
            EngineCall(messages, None, tools, seeded(options, body.seed, choice))
            for choice in range(body.n or 1)
        ],
        stream=bool(body.stream),
        affinity=affinity_of(body.prompt_cache_key, messages, tools),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        log_probs=bool(body.logprobs),
        tool_mode=mode,
        tool_name=tool_name,
        one_tool_call=body.parallel_tool_calls is False,
        per_prompt=body.n or 1,
        names=names,
    )


def affinity_of(
    cache_key: str | None,
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]] | None,
) -> bytes:
    """Equal for the turns of one conversation: tools, and messages up to the first user's."""
    if cache_key:
        return hashlib.blake2b(cache_key.encode(), digest_size=8).digest()
    head = []
    for message in messages:
        head.append(message)
        if message["role"] == "user":
            break
    return hashlib.blake2b(orjson.dumps([head, tools]), digest_size=8).digest()


def _max_tokens(body: ChatCompletionRequest) -> int | None:
    if body.max_tokens and body.max_completion_tokens:
        raise invalid("max_completion_tokens", "max_tokens is given too; send one of them")
    return body.max_completion_tokens or body.max_tokens


def _tool_mode(body: ChatCompletionRequest) -> tuple[ToolMode, str, Guide | None]:
    choice, tools = body.tool_choice, body.tools or []
    if not tools:
        if choice not in (None, "none", "auto"):
            raise invalid("tool_choice", "needs tools")
        return "none", "", None
    if choice in (None, "auto"):
        return "native", "", None
    if isinstance(choice, NamedTool):
        named = [t for t in tools if t.function.name == choice.function.name]
        if not named:
            declared = ", ".join(t.function.name for t in tools)
            raise invalid(
                "tool_choice", f"{choice.function.name!r} is not among the tools: {declared}"
            )
        guide = Guide("json_schema", named_tool_schema(named[0]), "tool_choice")
        return "named", choice.function.name, guide
    if choice == "required":
        schema = required_tools_schema(tools, one=body.parallel_tool_calls is False)
        return "required", "", Guide("json_schema", schema, "tool_choice")
    return "none", "", None


def _thinking(body: ChatCompletionRequest, guide: Guide | None) -> bool:
    template = body.chat_template_kwargs and body.chat_template_kwargs.enable_thinking
    effort = None if body.reasoning_effort is None else body.reasoning_effort != "none"
    if template is not None and effort is not None and template != effort:
        raise invalid("reasoning_effort", "contradicts chat_template_kwargs.enable_thinking")
    thinking = bool(template or effort)
    if thinking and guide is not None:
        source = "chat_template_kwargs.enable_thinking" if template else "reasoning_effort"
        raise invalid(
            source, f"{guide.source} forces the output from its first token; leave one of them out"
        )
    return thinking
