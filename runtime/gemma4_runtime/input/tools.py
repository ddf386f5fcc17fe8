"""Tool declarations, checked, in the form that the chat template takes."""

from __future__ import annotations

from typing import Any

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.schema.check import TOOL_REGEX_SIZE, check_schema
from gemma4_runtime.guides.schema.drafts import modern
from gemma4_runtime.guides.schema.refs import Expansion
from gemma4_runtime.input.checks import Guard, guard_tree, string, tool_name
from gemma4_runtime.input.tool_schema import shown_parameters, shown_response
from gemma4_runtime.json_text import kind_of, load_json
from gemma4_runtime.limits import Limits

__all__ = ["parse_tools"]


def parse_tools(text: str, limits: Limits, guard: Guard) -> list[dict[str, Any]]:
    """Return validated tool declarations with guarded text. Raises INVALID_ARGUMENT with the
    field."""
    tools = load_json("tools", text, limits)
    if not isinstance(tools, list):
        raise invalid(
            Code.WRONG_TYPE, "tools", f"must be a JSON array of tools, not {kind_of(tools)}"
        )
    if len(tools) > limits.max_tools:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            "tools",
            f"{len(tools)} tools; at most {limits.max_tools}",
            size=len(tools),
            limit=limits.max_tools,
        )
    names: set[str] = set()
    expansion = Expansion(limits.max_tools_bytes)
    parsed = []
    for i, tool in enumerate(tools):
        here = f"tools[{i}]"
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or tool.get("type", "function") != "function":
            raise invalid(
                Code.INVALID_VALUE, here, 'must be {"type": "function", "function": {...}}'
            )
        name = tool_name(f"{here}.function.name", function.get("name"))
        if name in names:
            raise invalid(
                Code.INVALID_VALUE, f"{here}.function.name", f"{name!r} is declared twice"
            )
        names.add(name)
        declared = _function(f"{here}.function", name, function, guard, expansion)
        parsed.append({"type": "function", "function": declared})
    return parsed


def _function(
    here: str, name: str, function: dict[str, Any], guard: Guard, expansion: Expansion
) -> dict[str, Any]:
    described = function.get("description")
    described = "" if described is None else string(f"{here}.description", described)
    parsed: dict[str, Any] = {"name": name}
    if function.get("parameters") is not None:
        field = f"{here}.parameters"
        shown, rest = shown_parameters(_schema(field, function["parameters"], expansion))
        parsed["parameters"] = _guarded(field, shown, guard)
        described = " ".join(filter(None, (described, rest)))
    if function.get("response") is not None:
        field = f"{here}.response"
        shown = shown_response(_schema(field, function["response"], expansion))
        parsed["response"] = _guarded(field, shown, guard)
    return {"description": guard(described, f"{here}.description")} | parsed


def _schema(field: str, schema: Any, expansion: Expansion) -> dict[str, Any]:
    """Return the schema in the words of draft 2020-12, without references."""
    if not isinstance(schema, dict):
        raise invalid(
            Code.WRONG_TYPE, field, f"must be a JSON schema of type object, not {kind_of(schema)}"
        )
    new = modern(schema)
    check_schema(field, new, most_regex_size=TOOL_REGEX_SIZE)
    expanded = expansion.expand(field, new)
    if not isinstance(expanded, dict):
        raise invalid(Code.INVALID_SCHEMA, field, "must be a JSON schema of type object")
    return expanded


def _guarded(field: str, shown: dict[str, Any], guard: Guard) -> Any:
    if shown and shown["type"] != "object":
        raise invalid(
            Code.INVALID_SCHEMA, field, f"must be a JSON schema of type object, not {shown['type']}"
        )
    return guard_tree(field, shown, guard)
