"""OpenAI-style messages, checked, in the form that the chat template takes."""

from __future__ import annotations

from typing import Any

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.input.checks import Guard, string
from gemma4_runtime.input.text import guard_seam, without_thoughts
from gemma4_runtime.input.tool_calls import ToolCalls
from gemma4_runtime.json_text import kind_of, load_json
from gemma4_runtime.limits import Limits

__all__ = ["parse_messages"]

_KEYS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {
        "role",
        "content",
        "name",
        "tool_calls",
        "reasoning",
        "reasoning_content",
        "refusal",
    },
    "tool": {"role", "content", "name", "tool_call_id"},
}
_ROLES = tuple(_KEYS)


def parse_messages(
    text: str, limits: Limits, guard: Guard, *, continued: bool = False
) -> list[dict[str, Any]]:
    """Return validated messages with guarded text, in the form that the template takes: ``content``
    is text, or a list of text parts where there are several. ``continued``: the last one is an
    assistant's with text that shall go on. Raises INVALID_ARGUMENT with the field."""
    messages = load_json("messages", text, limits)
    if not isinstance(messages, list) or not messages:
        raise invalid(Code.WRONG_TYPE, "messages", "must be a non-empty JSON array of messages")
    if len(messages) > limits.max_messages:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            "messages",
            f"{len(messages)} messages; at most {limits.max_messages}; leave old ones out",
            size=len(messages),
            limit=limits.max_messages,
        )
    calls = ToolCalls(limits, guard)
    parsed = [
        _message(f"messages[{i}]", message, guard, calls) for i, message in enumerate(messages)
    ]
    if continued:
        _check_continued(parsed[-1])
    calls.end("the model's turn")
    return parsed


def _check_continued(last: dict[str, Any]) -> None:
    content = last["content"]
    texts = [part["text"] for part in content] if isinstance(content, list) else [content or ""]
    if last["role"] != "assistant":
        problem = f"needs a last message from 'assistant'; it is from {last['role']!r}"
    elif last.get("tool_calls"):
        problem = "needs a last message of text; its tool_calls are whole, and want tool messages"
    elif not "".join(texts).strip():
        problem = "needs a last message with text; it has none"
    else:
        return
    raise invalid(
        Code.INVALID_CONVERSATION,
        "continue_final_message",
        f"{problem}; leave continue_final_message out for a new turn of the model",
    )


def _message(field: str, message: Any, guard: Guard, calls: ToolCalls) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise invalid(Code.WRONG_TYPE, field, f"must be an object, not {kind_of(message)}")
    role = message.get("role")
    if role not in _ROLES:
        raise invalid(
            Code.INVALID_VALUE,
            f"{field}.role",
            f"{role!r} is unknown; use one of {', '.join(_ROLES)}",
        )
    unknown = sorted(set(message) - _KEYS[role])
    if unknown:
        raise invalid(
            Code.UNKNOWN_INPUT, f"{field}.{unknown[0]}", f"is not a field of a {role} message"
        )
    if role != "tool":
        calls.end(f"the next {role} message")
    parsed: dict[str, Any] = {"role": role}
    content = message.get("content")
    made = message.get("tool_calls")
    if not (role == "assistant" and content is None and made):
        content = _content(f"{field}.content", content, guard, said=role == "assistant")
    parsed["content"] = content
    if message.get("name") is not None:
        string(f"{field}.name", message["name"])
    if role == "assistant":
        parsed |= _reasoning(field, message, guard)
        read = [] if made is None else calls.read(f"{field}.tool_calls", made)
        if read:
            parsed["tool_calls"] = read
    if role == "tool":
        parsed |= calls.answer(field, message)
    return parsed


def _reasoning(field: str, message: dict[str, Any], guard: Guard) -> dict[str, str]:
    """Return it under both names: a template may read either."""
    found = {
        name: guard(string(f"{field}.{name}", message[name]), f"{field}.{name}")
        for name in ("reasoning_content", "reasoning")
        if message.get(name) is not None
    }
    if not found:
        return {}
    return dict.fromkeys(("reasoning_content", "reasoning"), next(iter(found.values()))) | found


def _content(field: str, content: Any, guard: Guard, *, said: bool) -> str | list[dict[str, str]]:
    """Return a string, or several text parts. ``said`` by the model: without thoughts."""
    if isinstance(content, str):
        return _text(field, content, guard, said=said)
    if not isinstance(content, list) or not content:
        raise invalid(
            Code.WRONG_TYPE,
            field,
            f"must be a string or a list of text parts, not {kind_of(content)}",
        )
    texts = []
    for i, part in enumerate(content):
        here = f"{field}[{i}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text":
            raise invalid(
                Code.CONTENT_UNSUPPORTED,
                f"{here}.type",
                f"{kind!r} is not supported; this server takes text parts",
            )
        text = string(f"{here}.text", part.get("text"))
        texts.append(_text(f"{here}.text", text, guard, said=said))
    if len(texts) == 1:
        return texts[0]
    return [
        {"type": "text", "text": guard_seam(text) if i else text} for i, text in enumerate(texts)
    ]


def _text(field: str, text: str, guard: Guard, *, said: bool) -> str:
    return guard(without_thoughts(text) if said else text, field)
