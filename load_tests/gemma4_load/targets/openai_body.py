"""Requests and events of OpenAI's chat completions. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gemma4_load.errors import TargetError
from gemma4_load.workloads.base import Ask, Reply

__all__ = ["STATUS", "chat_body", "failure", "take_event"]

STATUS = {400: "INVALID_ARGUMENT", 401: "PERMISSION_DENIED", 403: "PERMISSION_DENIED",
          404: "INVALID_ARGUMENT", 408: "DEADLINE_EXCEEDED", 413: "INVALID_ARGUMENT",
          422: "INVALID_ARGUMENT", 429: "UNAVAILABLE", 499: "CANCELLED", 502: "UNAVAILABLE",
          503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}  # fmt: skip
"""gRPC's names for HTTP's statuses; any other is INTERNAL."""
_TEXTS = ("content", "reasoning_content", "reasoning")
"""Where servers put what the user sees; one name or the other for thoughts."""
_RENAMED = {"random_seed": "seed", "stop_words": "stop"}


def chat_body(ask: Ask, model: str) -> dict[str, Any]:
    """Return the body of a streamed request; usage is asked for."""
    body: dict[str, Any] = {
        "model": model,
        "messages": ask.messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    for name, value in ask.options.items():
        if name == "json_schema":
            schema = {"name": "answer", "schema": value, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        else:
            body[_RENAMED.get(name, name)] = value
    if ask.tools:
        body["tools"] = ask.tools
    return body


def failure(code: int, text: str) -> TargetError:
    """Return the error of an answer that is not 200; the message of its JSON, if it has one."""
    try:
        error = json.loads(text)["error"]
        message, name = str(error["message"]), error.get("code")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, name = text.strip()[:200] or "no message", None
    return TargetError(STATUS.get(code, "INTERNAL"), f"HTTP {code}: {message}", code=_code_of(name))


def _code_of(name: Any) -> str:
    """Servers other than ours repeat the status as a number."""
    return name if isinstance(name, str) else ""


def _take_calls(reply: Reply, parts: list[dict[str, Any]]) -> None:
    for part in parts:
        at = part.get("index", 0)
        while len(reply.tool_calls) <= at:
            empty = {"name": "", "arguments": ""}
            reply.tool_calls.append({"id": "", "type": "function", "function": empty})
        call = reply.tool_calls[at]
        call["id"] = part.get("id") or call["id"]
        for name in ("name", "arguments"):
            call["function"][name] += (part.get("function") or {}).get(name) or ""


def take_event(reply: Reply, event: Mapping[str, Any]) -> bool:
    """Put an event into ``reply``; True when it shows something. Raises :class:`TargetError` for an
    error in the stream."""
    if error := event.get("error"):
        code = error.get("code")
        status = STATUS.get(code, "INTERNAL") if isinstance(code, int) else "INTERNAL"
        raise TargetError(status, str(error.get("message", error)), code=_code_of(code))
    if usage := event.get("usage"):
        reply.prompt_tokens = usage["prompt_tokens"]
        reply.output_tokens = usage["completion_tokens"]
    shows = False
    for choice in event.get("choices", ()):
        delta = choice.get("delta") or {}
        reply.text += delta.get("content") or ""
        calls = delta.get("tool_calls") or []
        _take_calls(reply, calls)
        reply.finish_reason = choice.get("finish_reason") or reply.finish_reason
        shows |= bool(any(map(delta.get, _TEXTS)) or calls)
    return shows
