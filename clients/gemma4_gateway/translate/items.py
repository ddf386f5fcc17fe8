"""Items of the Responses API -> messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gemma4_gateway.errors import ApiError, invalid
from gemma4_gateway.translate.response_tools import custom_arguments, shown_name, unsupported
from gemma4_gateway.translate.thoughts import unsealed

__all__ = ["input_messages"]

_TEXT_PARTS = ("input_text", "output_text", "text")
_FIELDS = {
    "message": {"type", "role", "content", "id", "status", "phase"},
    "function_call": {
        "type", "call_id", "name", "arguments", "id", "status", "namespace",
        "parsed_arguments",  # which OpenAI's package adds in parse(); no effect
    },
    "function_call_output": {"type", "call_id", "output", "id", "status"},
    "custom_tool_call": {"type", "call_id", "name", "input", "id", "status", "namespace"},
    "custom_tool_call_output": {"type", "call_id", "output", "id", "status"},
    "reasoning": {"type", "summary", "content", "id", "status", "encrypted_content"},
    "compaction": {"type", "id", "encrypted_content", "created_by"},
}  # fmt: skip
_OF_OTHER_TOOLS = {
    "apply_patch_call", "apply_patch_call_output", "code_interpreter_call", "computer_call",
    "computer_call_output", "file_search_call", "image_generation_call", "local_shell_call",
    "local_shell_call_output", "mcp_approval_request", "mcp_approval_response", "mcp_call",
    "mcp_list_tools", "shell_call", "shell_call_output", "tool_search_call", "tool_search_output",
    "web_search_call",
}  # fmt: skip
"""Items of tools that do not exist here."""
_SUMMARY = "Summary of the conversation so far:\n{}\n"
"""What a compaction item is to the model: a turn of its own, since it wrote the summary."""


def input_messages(
    instructions: str | None,
    given: str | list[dict[str, Any]],
    *,
    earlier: Sequence[dict[str, Any]] = (),
    drop: bool = False,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the messages, and for each of their fields as the engine names it
    (``messages[1].tool_calls[0].id``) the item's (``input[3].call_id``). Items that belong to one
    turn of the model become one message. ``earlier`` come before ``given``. ``drop``: leave out
    items of tools that do not exist here. Raises :class:`~gemma4_gateway.errors.ApiError` 400 that
    names the item."""
    messages: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    if instructions:
        messages.append({"role": "system", "content": instructions})
        names |= dict.fromkeys(("messages[0]", "messages[0].content"), "instructions")
    places = ["previous_response_id"] * len(earlier)
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
        places.append("input")
    else:
        places += [f"input[{index}]" for index in range(len(given))]
    for place, item in zip(places, [*earlier, *given], strict=True):
        kind = item.get("type")
        if isinstance(kind, str) and kind in _OF_OTHER_TOOLS:
            if not drop:
                raise unsupported(f"{place}.type", f"{kind} is of no function")
            continue
        fields = _add(messages, place, item)
        here = f"messages[{len(messages) - 1}]"
        names.setdefault(here, place)
        for field, own in fields.items():
            whole = place in ("input", "previous_response_id")
            names.setdefault(f"{here}.{field}", place if whole else f"{place}{own}")
    return messages, names


def _add(messages: list[dict[str, Any]], place: str, item: dict[str, Any]) -> dict[str, str]:
    """Add an item; return the fields of the last message that come from this item -> the item's."""
    kind = item.get("type", "message" if "role" in item else None)
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise invalid(f"{place}.type", f"{kind!r} is not one of {', '.join(_FIELDS)}")
    unknown = [k for k, v in item.items() if k not in _FIELDS[kind] and v is not None]
    if unknown:
        raise invalid(f"{place}.{unknown[0]}", f"is not taken in a {kind} item")
    if kind in ("function_call_output", "custom_tool_call_output"):
        content = _content(f"{place}.output", item.get("output"))
        call_id = _string(f"{place}.call_id", item.get("call_id"))
        messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
        return {"content": ".output", "tool_call_id": ".call_id", "role": ".type"}
    if kind in ("function_call", "custom_tool_call"):
        return _add_call(messages, place, item, custom=kind == "custom_tool_call")
    if kind == "reasoning":
        text = _reasoning(place, item)
        if text:
            turn = _turn(messages)
            turn["reasoning_content"] = turn.get("reasoning_content", "") + text
        return {"reasoning_content": ".content"} if text else {}
    if kind == "compaction":
        field = f"{place}.encrypted_content"
        text = unsealed(field, _string(field, item.get("encrypted_content")))
        _turn(messages)["content"] += _SUMMARY.format(text)
        return {"content": ".encrypted_content"}
    _add_message(messages, place, item)
    return {"content": ".content"}


def _add_call(
    messages: list[dict[str, Any]], place: str, item: dict[str, Any], *, custom: bool
) -> dict[str, str]:
    name = _string(f"{place}.name", item.get("name"))
    namespace = _string(f"{place}.namespace", item.get("namespace") or "")
    if custom:
        arguments = custom_arguments(_string(f"{place}.input", item.get("input")))
    else:
        arguments = _string(f"{place}.arguments", item.get("arguments"))
    function = {"name": shown_name(name, namespace), "arguments": arguments}
    call_id = _string(f"{place}.call_id", item.get("call_id"))
    calls = _turn(messages).setdefault("tool_calls", [])
    here = f"tool_calls[{len(calls)}]"
    calls.append({"id": call_id, "type": "function", "function": function})
    return {here: "", f"{here}.function": "", f"{here}.id": ".call_id"}


def _add_message(messages: list[dict[str, Any]], place: str, item: dict[str, Any]) -> None:
    role = item.get("role")
    if role not in ("user", "assistant", "system", "developer"):
        raise invalid(
            f"{place}.role", f"{role!r} is unknown; use user, assistant, system, developer"
        )
    content = _content(f"{place}.content", item.get("content"))
    if role != "assistant":
        messages.append({"role": role, "content": content})
        return
    turn = _turn(messages)
    if not isinstance(content, str):
        content = "".join(part["text"] for part in content)
    turn["content"] += content


def _turn(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the model's message at the end; a new one after anybody else's."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": ""})
    return messages[-1]


def _reasoning(place: str, item: dict[str, Any]) -> str:
    content = item.get("content")
    if not content:  # clients that keep no plain thoughts send back the other form
        return unsealed(f"{place}.encrypted_content", item.get("encrypted_content"))
    if not isinstance(content, list):
        raise invalid(f"{place}.content", "must be a list of reasoning_text parts")
    return "".join(
        _part(f"{place}.content[{i}]", part, ("reasoning_text",)) for i, part in enumerate(content)
    )


def _content(place: str, content: Any) -> str | list[dict[str, str]]:
    """Return text, or several text parts, between which the chat template may put something."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid(place, "must be a string or a list of text parts")
    texts = [_part(f"{place}[{i}]", part, _TEXT_PARTS) for i, part in enumerate(content)]
    if len(texts) > 1:
        return [{"type": "text", "text": text} for text in texts]
    return "".join(texts)


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
