"""OpenAI-style messages and tools, checked, in the form that the chat template takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gemma4_runtime.errors import invalid
from gemma4_runtime.input.json_text import kind_of, load_json
from gemma4_runtime.input.schema_check import check_schema
from gemma4_runtime.limits import Limits

__all__ = ["parse_messages", "parse_tools"]

Guard = Callable[[str, str], str]
_ROLES = ("system", "developer", "user", "assistant", "tool")
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
_TOOL_REGEX_SIZE = 10_000
"""Patterns in a tool's parameters are compiled only to see whether they are any."""
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")


def parse_messages(text: str, limits: Limits, guard: Guard) -> list[dict[str, Any]]:
    """Validated messages with guarded text, in the form that the template takes."""
    messages = load_json("messages", text, limits)
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "must be a non-empty JSON array of messages")
    if len(messages) > limits.max_messages:
        raise invalid(
            "messages",
            f"{len(messages)} messages; at most {limits.max_messages}; leave old ones out",
        )
    open_calls: dict[str, str] = {}
    parsed = [
        _message(f"messages[{i}]", message, limits, guard, open_calls)
        for i, message in enumerate(messages)
    ]
    if parsed[-1]["role"] not in ("user", "tool"):
        raise invalid(
            f"messages[{len(parsed) - 1}].role",
            f"{parsed[-1]['role']!r}: the last message must be from 'user' or 'tool', so that the "
            "model has something to answer",
        )
    return parsed


def _message(
    field: str, message: Any, limits: Limits, guard: Guard, open_calls: dict[str, str]
) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise invalid(field, f"must be an object, not {kind_of(message)}")
    role = message.get("role")
    if role not in _ROLES:
        raise invalid(f"{field}.role", f"{role!r} is unknown; use one of {', '.join(_ROLES)}")
    unknown = sorted(set(message) - _KEYS[role])
    if unknown:
        raise invalid(f"{field}.{unknown[0]}", f"is not a field of a {role} message")
    parsed: dict[str, Any] = {"role": role}
    content = message.get("content")
    calls = message.get("tool_calls")
    if not (role == "assistant" and content is None and calls):
        content = _content(f"{field}.content", content, guard)
    parsed["content"] = content
    if role == "assistant":
        for name in ("reasoning", "reasoning_content"):
            if message.get(name) is not None:
                parsed[name] = guard(_string(f"{field}.{name}", message[name]), f"{field}.{name}")
        if calls:
            parsed["tool_calls"] = _calls(f"{field}.tool_calls", calls, limits, guard, open_calls)
    if role == "tool":
        parsed |= _tool_reference(field, message, open_calls)
    return parsed


def _tool_reference(
    field: str, message: dict[str, Any], open_calls: dict[str, str]
) -> dict[str, Any]:
    if not open_calls:
        raise invalid(field, "a tool message needs an assistant message with tool_calls before it")
    call_id = message.get("tool_call_id")
    if call_id is None:
        name = message.get("name")
        if not isinstance(name, str) or not _TOOL_NAME.match(name):
            raise invalid(f"{field}.tool_call_id", "is missing; give the id of the call it answers")
        return {"name": name}
    if call_id not in open_calls:
        raise invalid(
            f"{field}.tool_call_id",
            f"{call_id!r} answers no call; the calls are {', '.join(map(repr, open_calls))}",
        )
    return {"name": open_calls[call_id]}


def _content(field: str, content: Any, guard: Guard) -> str:
    """A string, or the joined text of its parts (as the template joins them)."""
    if isinstance(content, str):
        return guard(content, field)
    if not isinstance(content, list) or not content:
        raise invalid(field, f"must be a string or a list of text parts, not {kind_of(content)}")
    texts = []
    for i, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text":
            raise invalid(
                f"{field}[{i}].type", f"{kind!r} is not supported; this server takes text parts"
            )
        texts.append(_string(f"{field}[{i}].text", part.get("text")))
    return guard("".join(texts), field)


def _calls(
    field: str, calls: Any, limits: Limits, guard: Guard, open_calls: dict[str, str]
) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        raise invalid(field, f"must be a list, not {kind_of(calls)}")
    parsed = []
    for i, call in enumerate(calls):
        here = f"{field}[{i}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise invalid(here, "must be an object with a `function` object")
        name = _tool_name(f"{here}.function.name", function.get("name"))
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            arguments = load_json(f"{here}.function.arguments", arguments or "{}", limits)
        if not isinstance(arguments, dict):
            raise invalid(f"{here}.function.arguments", "must be a JSON object")
        call_id = str(call.get("id") or f"call_{len(open_calls)}")
        open_calls[call_id] = name
        arguments = _guard_tree(f"{here}.function.arguments", arguments, guard)
        parsed.append({"id": call_id, "function": {"name": name, "arguments": arguments}})
    return parsed


def parse_tools(text: str, limits: Limits, guard: Guard) -> list[dict[str, Any]]:
    """Validated tool declarations with guarded text."""
    tools = load_json("tools", text, limits)
    if not isinstance(tools, list):
        raise invalid("tools", f"must be a JSON array of tools, not {kind_of(tools)}")
    if len(tools) > limits.max_tools:
        raise invalid("tools", f"{len(tools)} tools; at most {limits.max_tools}")
    names: set[str] = set()
    parsed = []
    for i, tool in enumerate(tools):
        here = f"tools[{i}]"
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or tool.get("type", "function") != "function":
            raise invalid(here, 'must be {"type": "function", "function": {...}}')
        name = _tool_name(f"{here}.function.name", function.get("name"))
        if name in names:
            raise invalid(f"{here}.function.name", f"{name!r} is declared twice")
        names.add(name)
        parsed.append({"type": "function", "function": _function(here, name, function, guard)})
    return parsed


def _function(here: str, name: str, function: dict[str, Any], guard: Guard) -> dict[str, Any]:
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    field = f"{here}.function.parameters"
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        raise invalid(field, "must be a JSON schema of type object")
    check_schema(field, parameters, most_regex_size=_TOOL_REGEX_SIZE)
    description = function.get("description") or ""
    return {
        "name": name,
        "description": guard(_string(f"{here}.function.description", description), here),
        "parameters": _guard_tree(field, parameters, guard),
    }


def _guard_tree(field: str, value: Any, guard: Guard) -> Any:
    if isinstance(value, str):
        return guard(value, field)
    if isinstance(value, dict):
        return {guard(k, field): _guard_tree(field, v, guard) for k, v in value.items()}
    if isinstance(value, list):
        return [_guard_tree(field, item, guard) for item in value]
    return value


def _string(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(field, f"must be a string, not {kind_of(value)}")
    return value


def _tool_name(field: str, name: Any) -> str:
    if not isinstance(name, str) or not _TOOL_NAME.match(name):
        raise invalid(field, f"{name!r}: a name has 1 to 64 of A-Z a-z 0-9 _ . -")
    return name
