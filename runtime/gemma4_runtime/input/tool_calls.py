"""Tool calls of earlier answers, and the tool messages that answer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.input.checks import Guard, guard_tree, string, tool_name
from gemma4_runtime.json_text import NotJsonError, kind_of, load_json
from gemma4_runtime.limits import Limits

__all__ = ["UNREADABLE", "ToolCalls"]

UNREADABLE = "unreadable_arguments"
"""The argument under which the model sees the text of arguments that are not JSON."""


@dataclass
class _Call:
    field: str
    id: str
    name: str
    answered: bool = False


class ToolCalls:
    """The calls of the last assistant message. Every call is answered once, by a tool message
    before any other message; templates drop whatever is not."""

    def __init__(self, limits: Limits, guard: Guard) -> None:
        self._limits = limits
        self._guard = guard
        self._calls: list[_Call] = []
        self._made = 0

    def read(self, field: str, calls: Any) -> list[dict[str, Any]]:
        """Read ``tool_calls`` of an assistant message, as the template takes them; now they are the
        ones to answer. Arguments become an object: none for null and empty text, and for text that
        is not JSON one with the text as :data:`UNREADABLE`. Raises INVALID_ARGUMENT."""
        if not isinstance(calls, list):
            raise invalid(Code.WRONG_TYPE, field, f"must be a list, not {kind_of(calls)}")
        self._calls = []
        parsed = [self._call(f"{field}[{i}]", call) for i, call in enumerate(calls)]
        ids: set[str] = {call.id for call in self._calls if call.id}
        for call, shown in zip(self._calls, parsed, strict=True):
            while not call.id or (not shown["id"] and call.id in ids):
                self._made += 1
                call.id = f"call_{self._made}"
            ids.add(call.id)
            shown["id"] = self._guard(call.id, f"{call.field}.id")
        return parsed

    def _call(self, here: str, call: Any) -> dict[str, Any]:
        if not isinstance(call, dict):
            raise invalid(Code.WRONG_TYPE, here, f"must be an object, not {kind_of(call)}")
        if call.get("type") not in (None, "function"):
            raise invalid(
                Code.CONTENT_UNSUPPORTED,
                f"{here}.type",
                f"{call['type']!r} is not supported; use 'function'",
            )
        function = call.get("function")
        if not isinstance(function, dict):
            raise invalid(
                Code.WRONG_TYPE, f"{here}.function", f"must be an object, not {kind_of(function)}"
            )
        name = tool_name(f"{here}.function.name", function.get("name"))
        arguments = self._arguments(f"{here}.function.arguments", function.get("arguments"))
        call_id = call.get("id")
        call_id = "" if call_id is None else string(f"{here}.id", call_id)
        if call_id and any(call_id == other.id for other in self._calls):
            raise invalid(
                Code.INVALID_CONVERSATION,
                f"{here}.id",
                f"{call_id!r} is the id of another call of this message; use its own",
            )
        self._calls.append(_Call(here, call_id, name))
        return {
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }

    def _arguments(self, field: str, given: Any) -> dict[str, Any]:
        if isinstance(given, str):
            try:
                value = load_json(field, given, self._limits) if given.strip() else None
            except NotJsonError:
                value = {UNREADABLE: given}
        else:
            value = given
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise invalid(Code.WRONG_TYPE, field, f"must be a JSON object, not {kind_of(value)}")
        guarded: dict[str, Any] = guard_tree(field, value, self._guard)
        return guarded

    def answer(self, field: str, message: dict[str, Any]) -> dict[str, Any]:
        """Return ``name`` and ``tool_call_id`` of the call that a tool message answers. Raises
        INVALID_ARGUMENT when there is none."""
        call_id, name = message.get("tool_call_id"), message.get("name")
        if name is not None:
            string(f"{field}.name", name)
        if call_id is not None:
            string(f"{field}.tool_call_id", call_id)
        if not self._calls:
            raise invalid(
                Code.INVALID_CONVERSATION,
                f"{field}.role",
                "a tool message must follow the assistant message with the tool_calls that it "
                "answers, with no other message between",
            )
        if call_id:
            at, said = f"{field}.tool_call_id", call_id
            found = [call for call in self._calls if call.id == call_id]
            known = ", ".join(repr(call.id) for call in self._calls)
        elif name:
            at, said = f"{field}.name", name
            found = [call for call in self._calls if call.name == name]
            known = ", ".join(repr(call.name) for call in self._calls)
        else:
            raise invalid(
                Code.MISSING_INPUT,
                f"{field}.tool_call_id",
                "is missing; give the id of the call it answers",
            )
        if not found:
            raise invalid(
                Code.INVALID_CONVERSATION, at, f"{said!r} answers no call; the calls are {known}"
            )
        call = next((call for call in found if not call.answered), None)
        if call is None:
            raise invalid(
                Code.INVALID_CONVERSATION, at, f"{said!r} is answered twice; join the two messages"
            )
        call.answered = True
        return {"name": call.name, "tool_call_id": self._guard(call.id, at)}

    def end(self, before: str) -> None:
        """End the answers: no more tool messages come, but what ``before`` says. Raises
        INVALID_ARGUMENT for a call without an answer."""
        for call in self._calls:
            if not call.answered:
                raise invalid(
                    Code.INVALID_CONVERSATION,
                    f"{call.field}.id",
                    f"{call.id!r} is not answered before {before}; add a tool message for it; its "
                    "content may say that the tool was not run",
                )
        self._calls = []
