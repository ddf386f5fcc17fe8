"""JSON schemas of older drafts, and as tools often have them, in the words of draft 2020-12."""

from __future__ import annotations

from typing import Any

__all__ = ["LISTS", "MAPS", "SCHEMAS", "modern"]

MAPS = (
    "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies",
)  # fmt: skip
"""Keywords whose value maps names to schemas (``dependencies`` also to lists of names)."""
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
SCHEMAS = (
    "items", "contains", "additionalProperties", "propertyNames", "if", "then", "else", "not",
    "unevaluatedItems", "unevaluatedProperties", "contentSchema",
)  # fmt: skip
_TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
_VALUES = ("const", "default")
"""Keywords that may be null."""


def modern(schema: Any) -> Any:
    """Bring any JSON value up to draft 2020-12; what is no schema is left for the check to find.
    Null keywords are left out. A list of ``items`` becomes ``prefixItems``, ``exclusiveMinimum:
    true`` a number, ``required: true`` of a property an entry of the object's list, and ``STRING``
    ``string``."""
    if not isinstance(schema, dict):
        return schema
    new: dict[str, Any] = {}
    for key, value in schema.items():
        if value is None and key not in _VALUES:
            continue
        if key in MAPS and isinstance(value, dict):
            new[key] = {name: modern(item) for name, item in value.items()}
        elif key in (*LISTS, "items") and isinstance(value, list):
            new[key] = [modern(item) for item in value]
        elif key in (*SCHEMAS, "additionalItems"):
            new[key] = modern(value)
        elif key == "type":
            new[key] = [_type(item) for item in value] if isinstance(value, list) else _type(value)
        else:
            new[key] = value
    _tuple(new)
    _limits(new)
    _required(new)
    return new


def _type(name: Any) -> Any:
    return name.lower() if name in _TYPES else name


def _tuple(schema: dict[str, Any]) -> None:
    rest = schema.pop("additionalItems", None)
    if isinstance(schema.get("items"), list):
        first = schema.pop("items")
        if first:
            schema["prefixItems"] = first
        if rest is not None:
            schema["items"] = rest


def _limits(schema: dict[str, Any]) -> None:
    for name, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool):
            strict = schema.pop(exclusive)
            if strict and name in schema:
                schema[exclusive] = schema.pop(name)


def _required(schema: dict[str, Any]) -> None:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    needed = []
    for name, item in properties.items():
        if (
            isinstance(item, dict)
            and isinstance(item.get("required"), bool)
            and item.pop("required")
        ):
            needed.append(name)
    if needed:
        listed = schema.get("required", [])
        if isinstance(listed, list):
            schema["required"] = listed + [name for name in needed if name not in listed]
