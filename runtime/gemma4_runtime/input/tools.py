"""Tool declarations, checked, in the form that the chat template takes."""

from __future__ import annotations

from typing import Any

from gemma4_runtime.errors import invalid
from gemma4_runtime.input.checks import Guard, guard_tree, string, tool_name
from gemma4_runtime.input.json_text import kind_of, load_json
from gemma4_runtime.input.schema_check import check_schema
from gemma4_runtime.limits import Limits

__all__ = ["parse_tools"]

_TOOL_REGEX_SIZE = 10_000
"""Patterns in a tool's parameters are compiled only to see whether they are any."""


def parse_tools(text: str, limits: Limits, guard: Guard) -> list[dict[str, Any]]:
    """Validated tool declarations with guarded text. Raises INVALID_ARGUMENT with the field."""
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
        name = tool_name(f"{here}.function.name", function.get("name"))
        if name in names:
            raise invalid(f"{here}.function.name", f"{name!r} is declared twice")
        names.add(name)
        declared = _function(f"{here}.function", name, function, guard)
        parsed.append({"type": "function", "function": declared})
    return parsed


def _function(here: str, name: str, function: dict[str, Any], guard: Guard) -> dict[str, Any]:
    described = function.get("description")
    described = "" if described is None else string(f"{here}.description", described)
    parsed = {"name": name, "description": guard(described, f"{here}.description")}
    for key in ("parameters", "response"):
        schema = function.get(key)
        if schema is not None:
            parsed[key] = _schema(f"{here}.{key}", schema, guard)
    return parsed


def _schema(field: str, schema: Any, guard: Guard) -> Any:
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise invalid(field, "must be a JSON schema of type object")
    check_schema(field, schema, most_regex_size=_TOOL_REGEX_SIZE)
    return guard_tree(field, schema, guard)
