"""The schemas of tools as the chat template can show them.

The template knows one ``type`` as text, ``description``, ``enum`` of strings, ``items``,
``properties``, ``required`` and ``nullable``. What a schema says in other words is brought into
these; what they cannot say is added to the description as a JSON schema.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["shown_parameters", "shown_response"]

_SAID = (
    "anyOf", "oneOf", "allOf", "not", "if", "then", "else", "prefixItems", "patternProperties",
    "propertyNames", "contains", "dependencies", "dependentRequired", "dependentSchemas",
)  # fmt: skip
"""Shown as a JSON schema where they are left over."""
_HINTS = {
    "object": ("properties", "additionalProperties", "required", "patternProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    "string": ("pattern", "minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_NOTES = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly")
_ANY = "any"


def shown_parameters(schema: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return of a schema without references what the template takes, and what it cannot say."""
    if not schema:
        return {}, ""
    shown, rest = _shown(schema, top=True)
    return shown, _as_json(rest)


def shown_response(schema: dict[str, Any]) -> dict[str, Any]:
    """Do as :func:`shown_parameters`, in one: the description holds the rest."""
    return _folded(*_shown(schema, top=True)) if schema else {}


def _node(schema: Any, *, in_items: bool = False) -> dict[str, Any]:
    if schema is True:
        return {"type": _ANY}
    if schema is False:
        return {"type": _ANY, "description": "JSON schema: false"}
    return _folded(*_shown(schema, in_items=in_items))


def _folded(shown: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    said = " ".join(filter(None, (shown.get("description"), _as_json(rest))))
    return shown | {"description": said} if said else shown


def _as_json(rest: dict[str, Any]) -> str:
    return "JSON schema: " + json.dumps(rest, ensure_ascii=False) if rest else ""


def _shown(
    schema: dict[str, Any], *, top: bool = False, in_items: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    new = _chosen(_merged(schema))
    rest = {key: new.pop(key) for key in _SAID if key in new}
    nullable = bool(new.pop("nullable", False))
    if "const" in new:
        new.setdefault("enum", [new["const"]])
        del new["const"]
    kinds = _kinds(new, rest, top=top)
    if "type" not in new:
        for key in ("anyOf", "oneOf"):
            if all(isinstance(item, dict) and set(item) == {"type"} for item in rest.get(key, ())):
                rest.pop(key, None)
    if "null" in kinds and len(kinds) > 1:
        kinds.remove("null")
        nullable = True
    if nullable:
        new["nullable"] = True
    new["type"] = "|".join(kinds)
    if "enum" in new:
        _show_enum(new, rest)
    more = new.get("additionalProperties")
    if isinstance(more, dict) and more:
        rest["additionalProperties"] = new.pop("additionalProperties")
    if kinds != ["object"]:
        rest |= {key: new.pop(key) for key in ("properties", "required") if key in new}
    elif "properties" in new or not (top or in_items):
        properties = new.get("properties", {})
        new["properties"] = {name: _node(item) for name, item in properties.items()}
    if "items" in new:
        _show_items(new, rest)
    return new, rest


def _show_items(new: dict[str, Any], rest: dict[str, Any]) -> None:
    items = new.pop("items")
    if items is False or "prefixItems" in rest or new["type"] != "array":
        rest["items"] = items
    elif items is not True and items:
        new["items"] = _node(items, in_items=True)


def _show_enum(new: dict[str, Any], rest: dict[str, Any]) -> None:
    values = [value for value in new["enum"] if value is not None]
    if len(values) < len(new["enum"]) and new["type"] != "null":
        new["nullable"] = True
        new["enum"] = values
    if new["type"] != "string" or not all(isinstance(value, str) for value in values):
        rest["enum"] = new["enum"]


def _kinds(schema: dict[str, Any], rest: dict[str, Any], *, top: bool) -> list[str]:
    given = schema.get("type")
    if given is not None:
        return list(dict.fromkeys(given)) if isinstance(given, list) else [given]
    if "enum" in schema:
        return list(dict.fromkeys(map(_kind_of, schema["enum"]))) or [_ANY]
    for name, words in _HINTS.items():
        if any(word in schema or word in rest for word in words):
            return [name]
    found: list[str] = []
    for key in ("anyOf", "oneOf"):
        for item in rest.get(key, schema.get(key, ())):
            found += _kinds(item, {}, top=False) if isinstance(item, dict) else [_ANY]
        if found:
            return [_ANY] if _ANY in found else list(dict.fromkeys(found))
    return ["object" if top else _ANY]


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    kinds = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


def _merged(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with as many members of ``allOf`` taken in as do not contradict."""
    new = dict(schema)
    left = []
    for part in new.pop("allOf", ()):
        if part is False or (part is not True and not _taken_in(new, _merged(part))):
            left.append(part)
    if left:
        new["allOf"] = left
    return new


def _taken_in(new: dict[str, Any], part: dict[str, Any]) -> bool:
    properties = new.get("properties", {})
    others = part.get("properties", {})
    for key, value in part.items():
        if key in new and key not in ("properties", "required", *_NOTES) and new[key] != value:
            return False
    if any(properties[name] != item for name, item in others.items() if name in properties):
        return False
    required = list(dict.fromkeys([*new.get("required", ()), *part.get("required", ())]))
    for key, value in part.items():
        new.setdefault(key, value)
    if properties or others:
        new["properties"] = others | properties
    if required:
        new["required"] = required
    return True


def _chosen(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with an ``anyOf`` or ``oneOf`` of one schema and null, or of constants,
    taken in."""
    for key in ("anyOf", "oneOf"):
        parts = schema.get(key)
        if not parts:
            continue
        parts = [_merged(part) if isinstance(part, dict) else part for part in parts]
        some = [p for p in parts if not (isinstance(p, dict) and p.get("type") == "null")]
        new = {name: value for name, value in schema.items() if name != key}
        if len(some) < len(parts) and some:
            new["nullable"] = True
        constants = [_constants(part) for part in some]
        if some and all(constants):
            part = {"enum": [value for values in constants for value in values or ()]}
        elif len(some) == 1 and some[0] is not False:
            part = {} if some[0] is True else dict(some[0])
        else:
            schema = new | {key: some or parts}
            continue
        schema = _chosen(new) if _taken_in(new, part) else schema
    return schema


def _constants(part: Any) -> list[Any] | None:
    """Return the values that a schema of nothing else allows."""
    if not isinstance(part, dict) or set(part) - {"const", "enum", "type", "title"}:
        return None
    return [part["const"]] if "const" in part else part.get("enum")
