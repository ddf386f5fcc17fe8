"""/v1/chat/completions -> plan; the part that /v1/responses shares."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from gemma4_gateway.errors import invalid
from gemma4_gateway.jsons import dumps
from gemma4_gateway.schemas.base import StructuredOutputs
from gemma4_gateway.schemas.chat import ChatCompletionRequest
from gemma4_gateway.schemas.tools import AllowedTools, NamedTool, ResponseFormat, Tool
from gemma4_gateway.translate.guides import (
    Guide,
    format_guide,
    named_tool_schema,
    required_tools_schema,
)
from gemma4_gateway.translate.messages import engine_messages, engine_tools, is_continued
from gemma4_gateway.translate.options import (
    sampling_names,
    sampling_options,
    seeded,
    wants_continuous_usage,
    wants_usage,
)
from gemma4_gateway.translate.request_plan import EngineCall, Plan, ToolMode, affinity

__all__ = ["ChatParts", "affinity_of", "plan_chat", "plan_parts"]


@dataclass(frozen=True, slots=True)
class ChatParts:
    """A chat request in this package's words. ``options`` are tensors; ``thinking`` is the
    parameter that asks for it, None for no thinking; ``names`` maps parameters of
    /v1/chat/completions, and tensors, to those of the API that was called; ``continued``: the last
    message goes on."""

    model: str
    messages: list[dict[str, Any]]
    options: dict[str, Any]
    tools: list[Tool]
    tool_choice: str | NamedTool | AllowedTools | None
    one_tool_call: bool
    response_format: ResponseFormat | None
    thinking: str | None
    log_probs: bool
    top_log_probs: int
    stream: bool
    seed: int | None
    cache_key: str | None
    structured_outputs: StructuredOutputs | None = None
    choices: int = 1
    include_usage: bool = False
    continuous_usage: bool = False
    token_ids: bool = False
    continued: bool = False
    names: dict[str, str] = field(default_factory=dict)


def plan_chat(body: ChatCompletionRequest) -> Plan:
    """Plan the calls. Raises :class:`~gemma4_gateway.errors.ApiError` 400 for parameters that
    contradict."""
    return plan_parts(
        ChatParts(
            model=body.named,
            messages=engine_messages(body.messages),
            options=sampling_options(body, max_tokens=_max_tokens(body)),
            tools=body.tools or [],
            tool_choice=body.tool_choice,
            one_tool_call=body.parallel_tool_calls is False,
            response_format=body.response_format,
            structured_outputs=body.structured_outputs,
            thinking=_thinking(body),
            log_probs=bool(body.logprobs),
            top_log_probs=_top_log_probs(body),
            stream=bool(body.stream),
            seed=body.seed,
            cache_key=body.prompt_cache_key,
            choices=body.n or 1,
            include_usage=wants_usage(body),
            continuous_usage=wants_continuous_usage(body),
            token_ids=bool(body.return_token_ids),
            continued=is_continued(body),
            names=_names(body),
        )
    )


def _names(body: ChatCompletionRequest) -> dict[str, str]:
    longest = {"max_tokens": "max_completion_tokens"} if body.max_completion_tokens else {}
    return sampling_names(body) | longest


def plan_parts(parts: ChatParts) -> Plan:
    """Do as :func:`plan_chat`."""
    parts, allowed = _only_allowed(parts)
    options = dict(parts.options)
    names = dict(parts.names)
    mode, tool_name, tool_guide = _tool_mode(parts)
    form_name = names.get("response_format", "response_format")
    form = format_guide(parts.response_format, parts.structured_outputs, source=form_name)
    guide = tool_guide or form  # a forced call is the whole answer, and the form of no use
    if guide is not None:
        options |= guide.options()
        names |= guide.names()
    if parts.continued:
        if tool_guide is not None:
            raise invalid(
                names.get("continue_final_message", "continue_final_message"),
                "tool_choice forces a call, which is no text that goes on; send one of them",
            )
        options["continue_final_message"] = True
    if tool_guide is not None:
        options["tool_choice"] = "none"  # the guided text is the call
    if mode == "native" and parts.one_tool_call:
        options["parallel_tool_calls"] = False
    if parts.thinking is not None:
        options["enable_thinking"] = True
    if parts.log_probs:
        options["return_log_probs"] = True
    if parts.top_log_probs:
        options["top_logprobs"] = parts.top_log_probs
    tools = None if mode == "none" else engine_tools(parts.tools)
    return Plan(
        model=parts.model,
        calls=[
            EngineCall(parts.messages, None, tools, seeded(options, parts.seed, choice))
            for choice in range(parts.choices)
        ],
        stream=parts.stream,
        affinity=affinity_of(parts.cache_key, parts.messages, tools),
        include_usage=parts.include_usage,
        continuous_usage=parts.continuous_usage,
        log_probs=parts.log_probs,
        tool_mode=mode,
        tool_name=tool_name,
        one_tool_call=parts.one_tool_call,
        token_ids=parts.token_ids,
        allowed=allowed,
        per_prompt=parts.choices,
        names=names,
        top_log_probs=parts.top_log_probs,
    )


def _top_log_probs(body: ChatCompletionRequest) -> int:
    if body.top_logprobs and not body.logprobs:
        raise invalid("top_logprobs", "needs logprobs: true")
    return body.top_logprobs or 0


def affinity_of(
    cache_key: str | None,
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]] | None,
) -> bytes:
    """Return bytes that are equal for the turns of one conversation: tools, and messages up to the
    first user's."""
    if cache_key:
        return affinity(cache_key.encode())
    head = []
    for message in messages:
        head.append(message)
        if message["role"] == "user":
            break
    return affinity(dumps([head, tools]))


def _max_tokens(body: ChatCompletionRequest) -> int | None:
    if body.max_tokens and (body.max_completion_tokens or body.max_tokens) != body.max_tokens:
        raise invalid("max_completion_tokens", "max_tokens is given too; send one of them")
    return body.max_completion_tokens or body.max_tokens


def _only_allowed(parts: ChatParts) -> tuple[ChatParts, frozenset[str] | None]:
    """Return the request with the allowed tools only, and their names; None: all are allowed."""
    choice = parts.tool_choice
    if not isinstance(choice, AllowedTools):
        return parts, None
    for place, tool in enumerate(choice.allowed_tools.tools):
        _check_declared(
            f"tool_choice.allowed_tools.tools[{place}]", tool.function.name, parts.tools
        )
    names = frozenset(tool.function.name for tool in choice.allowed_tools.tools)
    kept = [n for n, tool in enumerate(parts.tools) if tool.function.name in names]
    return replace(
        parts,
        tools=[parts.tools[n] for n in kept],
        tool_choice=choice.allowed_tools.mode,
        names=parts.names | _moved(kept, parts.names),
    ), names


def _moved(kept: list[int], names: dict[str, str]) -> dict[str, str]:
    """Return the names of the tools that are left: the engine numbers them anew."""
    moved: dict[str, str] = {}
    for place, number in enumerate(kept):
        there = f"tools[{number}]"
        moved[f"tools[{place}]"] = there
        for name, shown in names.items():
            if name.startswith(there):
                moved[f"tools[{place}]{name[len(there) :]}"] = shown
    return moved


def _check_declared(param: str, name: str, tools: list[Tool]) -> None:
    names = [tool.function.name for tool in tools]
    if name not in names:
        raise invalid(param, f"{name!r} is not among the tools: {', '.join(names) or 'none'}")


def _tool_mode(parts: ChatParts) -> tuple[ToolMode, str, Guide | None]:
    choice, tools = parts.tool_choice, parts.tools
    if not tools:
        if choice not in (None, "none", "auto"):
            raise invalid("tool_choice", "needs tools")
        return "none", "", None
    if choice in (None, "auto"):
        return "native", "", None
    if isinstance(choice, NamedTool):
        _check_declared("tool_choice", choice.function.name, tools)
        named = [t for t in tools if t.function.name == choice.function.name]
        guide = Guide("json_schema", named_tool_schema(named[0]), "tool_choice")
        return "named", choice.function.name, guide
    if choice == "required":
        schema = required_tools_schema(tools, one=parts.one_tool_call)
        return "required", "", Guide("json_schema", schema, "tool_choice")
    return "none", "", None


def _thinking(body: ChatCompletionRequest) -> str | None:
    template = body.chat_template_kwargs and body.chat_template_kwargs.enable_thinking
    effort = None if body.reasoning_effort is None else body.reasoning_effort != "none"
    if template is not None and effort is not None and template != effort:
        raise invalid("reasoning_effort", "contradicts chat_template_kwargs.enable_thinking")
    if template:
        return "chat_template_kwargs.enable_thinking"
    return "reasoning_effort" if effort else None
