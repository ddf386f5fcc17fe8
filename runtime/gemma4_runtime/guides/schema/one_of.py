"""``oneOf`` as ``anyOf``, where no value can meet two of its schemas.

Compilers of guides know few such cases; discriminated unions of pydantic and zod, whose members
are references, are none of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from typing import Any

__all__ = ["exclusive"]

Resolve = Callable[[Any], Any]
_MOST = 100
"""Members that are compared, each with each."""
_MOST_DEPTH = 4
"""Levels of properties in which two schemas are compared; deeper ones may both hold."""
_STRUCTURE = "structure"
"""For arrays and objects, which are not compared."""


def exclusive(schemas: list[Any], resolve: Resolve) -> bool:
    """Return whether no value meets two of ``schemas``. ``resolve`` follows the reference of a
    schema."""
    if len(schemas) > _MOST:
        return False
    parts = [resolve(schema) for schema in schemas]
    return all(_apart(a, b, resolve, _MOST_DEPTH) for a, b in combinations(parts, 2))


def _apart(a: Any, b: Any, resolve: Resolve, depth: int) -> bool:
    if a is False or b is False:
        return True
    if not isinstance(a, dict) or not isinstance(b, dict) or not depth:
        return False
    values, others = _values(a), _values(b)
    if values is not None and others is not None:
        return not values & others and _STRUCTURE not in values
    kinds = _kinds(a, values)
    if not kinds & _kinds(b, others):
        return True
    return kinds == {"object"} and _told_apart(a, b, resolve, depth)


def _told_apart(a: dict[str, Any], b: dict[str, Any], resolve: Resolve, depth: int) -> bool:
    """Return whether two schemas are told apart by a property that both require."""
    first, second = a.get("properties", {}), b.get("properties", {})
    both = set(a.get("required", ())) & set(b.get("required", ())) & set(first) & set(second)
    return any(
        _apart(resolve(first[name]), resolve(second[name]), resolve, depth - 1) for name in both
    )


def _values(schema: dict[str, Any]) -> set[str] | None:
    """Return the only values that a schema allows; in JSON Schema 1.0 is 1."""
    if "const" in schema:
        allowed = [schema["const"]]
    elif "enum" in schema:
        allowed = schema["enum"]
    else:
        return None
    return {_key(value) for value in allowed}


def _key(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True) if not isinstance(value, list | dict) else _STRUCTURE


_ALL = frozenset(("null", "boolean", "number", "string", "array", "object"))


def _kinds(schema: dict[str, Any], values: set[str] | None) -> set[str]:
    if values is not None:
        if _STRUCTURE in values:
            return set(_ALL)
        return {_kind(value) for value in values}
    kinds = schema.get("type", _ALL)
    listed = {kinds} if isinstance(kinds, str) else set(kinds)
    return {"number" if kind == "integer" else kind for kind in listed}


def _kind(value: str) -> str:
    found: dict[type, str] = {bool: "boolean", str: "string", type(None): "null"}
    return found.get(type(json.loads(value)), "number")
