"""Guides: what forces the output into a form."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gemma4_gateway.errors import invalid
from gemma4_gateway.schemas.base import StructuredOutputs
from gemma4_gateway.schemas.tools import JsonObjectFormat, JsonSchemaFormat, ResponseFormat, Tool

__all__ = ["Guide", "format_guide", "named_tool_schema", "pick_guide", "required_tools_schema"]

_MOST_CALLS = 16
"""Forced calls in one answer, at most."""
_DOCUMENT = ("$schema", "$id")
"""Of a whole document, which the parameters of a tool are no more."""


@dataclass(frozen=True, slots=True)
class Guide:
    """``kind`` and ``guide`` are the engine's tensors; ``source`` is the parameter it came from."""

    kind: str
    guide: str
    source: str

    def options(self) -> dict[str, str]:
        found = {"guided_decoding_guide_type": self.kind}
        if self.guide:
            found["guided_decoding_guide"] = self.guide
        return found


def pick_guide(*guides: Guide | None) -> Guide | None:
    """Return the only guide; 400 for two."""
    found = [guide for guide in guides if guide is not None]
    if len(found) > 1:
        raise invalid(found[1].source, f"{found[0].source} is given too; the output has one form")
    return found[0] if found else None


def format_guide(
    form: ResponseFormat | None, structured: StructuredOutputs | None, *, source: str
) -> Guide | None:
    """Return the guide of ``response_format`` and ``structured_outputs``; None when neither asks
    for a form."""
    return pick_guide(_of_format(form, source), _of_structured(structured))


def _of_format(form: ResponseFormat | None, source: str) -> Guide | None:
    if isinstance(form, JsonObjectFormat):
        return Guide("json", "", source)
    if isinstance(form, JsonSchemaFormat):
        return Guide("json_schema", _dump(form.json_schema.schema_), source)
    return None


def _of_structured(structured: StructuredOutputs | None) -> Guide | None:
    if structured is None:
        return None
    source = "structured_outputs"
    if structured.regex is not None:
        return Guide("regex", structured.regex, source)
    if structured.choice is not None:
        return Guide("regex", "|".join(map(re.escape, structured.choice)), source)
    if structured.grammar is not None:
        return Guide("grammar", structured.grammar, source)
    return Guide("json_schema", _dump(structured.json_schema), source)


def named_tool_schema(tool: Tool) -> str:
    """Return a schema: the output is the arguments of one call."""
    return _dump(_closed(tool.function.parameters))


def required_tools_schema(tools: Sequence[Tool], *, one: bool) -> str:
    """Return a schema: the output is ``[{"name": ..., "arguments": {...}}, ...]``: at least one
    call, at most one with ``one``."""
    parameters = {t.function.name: _closed(t.function.parameters) for t in tools}
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": name},
                "arguments": {"$ref": f"#/$defs/{name}"},
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for name in parameters
    ]
    return _dump(
        {
            "type": "array",
            "items": calls[0] if len(calls) == 1 else {"anyOf": calls},
            "minItems": 1,
            "maxItems": 1 if one else _MOST_CALLS,
            "$defs": {name: _moved(schema, name) for name, schema in parameters.items()},
        }
    )


def _closed(parameters: dict[str, Any] | None) -> dict[str, Any]:
    """Return a schema of an object that has no other properties than those declared: a model that
    may add properties can add them forever."""
    named = {key: value for key, value in (parameters or {}).items() if key not in _DOCUMENT}
    schema = {"type": "object"} | named
    if schema.get("properties") or not parameters:
        return {"additionalProperties": False} | schema
    return schema


def _moved(value: Any, name: str) -> Any:
    """Move references of a schema that now stands in ``#/$defs/name``."""
    if isinstance(value, dict):
        return {
            key: _reference(item, name)
            if key == "$ref" and isinstance(item, str)
            else _moved(item, name)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_moved(item, name) for item in value]
    return value


def _reference(reference: str, name: str) -> str:
    return f"#/$defs/{name}{reference[1:]}" if reference.startswith("#") else reference


def _dump(schema: Any) -> str:
    return json.dumps(schema, ensure_ascii=False)
