"""Items of the Responses API -> messages."""

from __future__ import annotations

from typing import Any

from gemma4_gateway.errors import ApiError, invalid

__all__ = ["input_messages"]

_TEXT_PARTS = ("input_text", "output_text", "text")
_FIELDS = {
    "message": {"type", "role", "content", "id", "status", "phase"},
    "function_call": {"type", "call_id", "name", "arguments", "id", "status"},
    "function_call_output": {"type", "call_id", "output", "id", "status"},
    "reasoning": {"type", "summary", "content", "id", "status", "encrypted_content"},
}


def input_messages(
    instructions: str | None, given: str | list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The messages, and for each as the engine names it (``messages[1]``) the item that it came
    from (``input[0]``). Items that belong to one turn of the model become one message. Raises
    :class:`~gemma4_gateway.errors.ApiError` 400 that names the item."""
    messages: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    if instructions:
        messages.append({"role": "system", "content": instructions})
        names["messages[0]"] = "instructions"
    if isinstance(given, str):
        names[f"messages[{len(messages)}]"] = "input"
        return [*messages, {"role": "user", "content": given}], names
    for index, item in enumerate(given):
        _add(messages, f"input[{index}]", item)
        names.setdefault(f"messages[{len(messages) - 1}]", f"input[{index}]")
    return messages, names


def _add(messages: list[dict[str, Any]], place: str, item: dict[str, Any]) -> None:
    kind = item.get("type", "message" if "role" in item else None)
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise invalid(f"{place}.type", f"{kind!r} is not one of {', '.join(_FIELDS)}")
    unknown = [k for k, v in item.items() if k not in _FIELDS[kind] and v is not None]
    if unknown:
        raise invalid(f"{place}.{unknown[0]}", f"is not taken in a {kind} item")
    if kind == "function_call_output":
        content = _text(f"{place}.output", item.get("output"))
        call_id = _string(f"{place}.call_id", item.get("call_id"))
        messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
    elif kind == "function_call":
        function = {
            "name": _string(f"{place}.name", item.get("name")),
            "arguments": _string(f"{place}.arguments", item.get("arguments")),
        }
        call_id = _string(f"{place}.call_id", item.get("call_id"))
        call = {"id": call_id, "type": "function", "function": function}
        turn = _turn(messages)
        turn.setdefault("tool_calls", []).append(call)
    elif kind == "reasoning":
        if item.get("encrypted_content") is not None:
            raise invalid(f"{place}.encrypted_content", "cannot be read here; send `content`")
        text = _reasoning(place, item)
        if text:
            turn = _turn(messages)
            turn["reasoning_content"] = turn.get("reasoning_content", "") + text
    else:
        _add_message(messages, place, item)


def _add_message(messages: list[dict[str, Any]], place: str, item: dict[str, Any]) -> None:
    role = item.get("role")
    if role not in ("user", "assistant", "system", "developer"):
        raise invalid(
            f"{place}.role", f"{role!r} is unknown; use user, assistant, system, developer"
        )
    content = _text(f"{place}.content", item.get("content"))
    if role != "assistant":
        messages.append({"role": role, "content": content})
        return
    turn = _turn(messages)
    turn["content"] += content


def _turn(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The model's message at the end; a new one after anybody else's."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": ""})
    return messages[-1]


def _reasoning(place: str, item: dict[str, Any]) -> str:
    content = item.get("content")
    if content is None:
        return ""
    if not isinstance(content, list):
        raise invalid(f"{place}.content", "must be a list of reasoning_text parts")
    return "".join(
        _part(f"{place}.content[{i}]", part, ("reasoning_text",)) for i, part in enumerate(content)
    )


def _text(place: str, content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid(place, "must be a string or a list of text parts")
    return "".join(_part(f"{place}[{i}]", p, _TEXT_PARTS) for i, p in enumerate(content))


def _part(place: str, part: Any, kinds: tuple[str, ...]) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in kinds:
        raise _refused_part(place, kind, kinds)
    return _string(f"{place}.text", part.get("text"))


def _refused_part(place: str, kind: Any, kinds: tuple[str, ...]) -> ApiError:
    return invalid(f"{place}.type", f"{kind!r} is not supported; text parts: {', '.join(kinds)}")


def _string(place: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(place, "must be a string")
    return value
