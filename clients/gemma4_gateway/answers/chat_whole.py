"""Body of a chat completion that is not streamed."""

from __future__ import annotations

from functools import partial
from typing import Any

from gemma4_client import Delta

from gemma4_gateway.answers.envelope import whole_body
from gemma4_gateway.answers.forced_calls import listed_calls, named_call
from gemma4_gateway.answers.logprobs import TokenLogProb, chat_logprobs
from gemma4_gateway.answers.token_ids import add_to_chat
from gemma4_gateway.translate.request_plan import Plan

__all__ = ["allowed_calls", "chat_body", "chat_choice", "finish_reason", "thoughts"]


def chat_choice(
    plan: Plan, index: int, answer: Delta, log_probs: list[TokenLogProb] | None
) -> dict[str, Any]:
    text, calls = _content(plan, answer)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text if text or not calls else None,
        "refusal": None,
    }
    if answer.reasoning:
        message |= thoughts(answer.reasoning)
    if calls:
        message["tool_calls"] = calls
    return {
        "index": index,
        "message": message,
        "logprobs": None if log_probs is None else chat_logprobs(log_probs),
        "finish_reason": finish_reason(answer.finish_reason, called=bool(calls)),
        "stop_reason": answer.stop_reason,
    }


chat_body = partial(whole_body, "chat.completion", chat_choice, add_to_chat)


def allowed_calls(plan: Plan, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out calls of tools that the request did not allow."""
    if plan.allowed is None:
        return calls
    return [call for call in calls if call["function"]["name"] in plan.allowed]


def thoughts(text: str) -> dict[str, str]:
    """Return the fields of a message or delta with thoughts: some clients read one, some the
    other."""
    return {"reasoning_content": text, "reasoning": text}


def _content(plan: Plan, answer: Delta) -> tuple[str, list[dict[str, Any]]]:
    most = 1 if plan.one_tool_call else None
    if plan.tool_mode == "named":
        return "", [named_call(plan.tool_name, answer.text)] if answer.text else []
    if plan.tool_mode == "required":
        return "", listed_calls(answer.text)[:most]
    if plan.tool_mode == "native":
        return answer.text, allowed_calls(plan, answer.tool_calls)[:most]
    return answer.text, []


def finish_reason(engine: str, *, called: bool) -> str:
    """Return the reason in OpenAI's words. A guided call ends with the engine's "stop"; calls
    that nobody may see do not count."""
    if engine == "length":
        return "length"
    return "tool_calls" if called else "stop"
