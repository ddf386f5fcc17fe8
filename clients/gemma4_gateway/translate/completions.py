"""/v1/completions -> plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gemma4_gateway.errors import invalid
from gemma4_gateway.schemas.completions import CompletionRequest
from gemma4_gateway.translate.guides import format_guide
from gemma4_gateway.translate.options import (
    sampling_names,
    sampling_options,
    seeded,
    wants_continuous_usage,
    wants_usage,
)
from gemma4_gateway.translate.request_plan import EngineCall, Plan, affinity

__all__ = ["plan_completion"]

_HEAD_CHARS = 2048
"""Characters or token ids of a prompt that choose its back end."""


def _prompts(given: str | list[str] | list[int] | list[list[int]]) -> list[EngineCall]:
    """Return a call without options for each prompt: a text, or token ids."""
    if isinstance(given, str):
        return [_call(given)]
    if isinstance(given[0], int):
        return [_call(given)]
    prompts: list[Any] = [*given]
    return [_call(prompt, f"prompt[{i}]") for i, prompt in enumerate(prompts)]


def _call(prompt: str | list[int], name: str = "prompt") -> EngineCall:
    if isinstance(prompt, str):
        return EngineCall(None, prompt, None, {}, names={"text_input": name})
    return EngineCall(None, None, None, {}, token_ids=prompt, names={"prompt_token_ids": name})


def plan_completion(body: CompletionRequest) -> Plan:
    """Plan a completion. Choices are numbered as OpenAI does: all of the first prompt, then of the
    second. Raises :class:`~gemma4_gateway.errors.ApiError` 400."""
    prompts = _prompts(body.prompt)
    options = sampling_options(body, max_tokens=body.max_tokens)
    guide = format_guide(body.response_format, body.structured_outputs, source="response_format")
    names = sampling_names(body)
    if guide is not None:
        options |= guide.options()
        names |= guide.names()
    if body.echo:
        if prompts[0].token_ids is not None:
            raise invalid("echo", "with token ids: only text is echoed; leave it out")
        if body.logprobs is not None:
            raise invalid("echo", "with logprobs: the engines give none for the prompt")
        options["exclude_input_in_output"] = False
    if body.logprobs is not None:
        options["return_log_probs"] = True
        if body.logprobs:
            options["top_logprobs"] = body.logprobs
            names["top_logprobs"] = "logprobs"
    first = prompts[0].text or prompts[0].token_ids or ""
    head = body.prompt_cache_key or str(first[:_HEAD_CHARS])
    return Plan(
        model=body.named,
        calls=[
            replace(prompt, options=seeded(options, body.seed, choice))
            for prompt in prompts
            for choice in range(body.n or 1)
        ],
        stream=bool(body.stream),
        affinity=affinity(head.encode()),
        include_usage=wants_usage(body),
        continuous_usage=wants_continuous_usage(body),
        log_probs=body.logprobs is not None,
        token_ids=bool(body.return_token_ids),
        per_prompt=body.n or 1,
        names=names,
        top_log_probs=body.logprobs or 0,
    )
