"""A JSON schema in the words that every engine's compiler takes and enforces.

What a compiler would pass over is refused here by name, what says nothing is left out, and what can
be said in other words is.
"""

from __future__ import annotations

import math
from typing import Any

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.schema.check import subschemas
from gemma4_runtime.guides.schema.ecma_regex import rust_regex
from gemma4_runtime.guides.schema.formats import ANNOTATIONS, INTEGERS, PATTERNS
from gemma4_runtime.guides.schema.one_of import exclusive
from gemma4_runtime.guides.schema.refs import resolve

__all__ = ["plain_schema", "reachable", "rust_patterns"]

_NOTES = (
    "$schema", "$comment", "$vocabulary", "title", "description", "default", "examples", "example",
    "deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema",
)  # fmt: skip
_REFUSED = {
    "not": "say what is allowed instead",
    "if": "use anyOf of both cases",
    "then": "use anyOf of both cases",
    "else": "use anyOf of both cases",
    "contains": "leave it out",
    "minContains": "leave it out",
    "maxContains": "leave it out",
    "uniqueItems": "leave it out, or use properties of booleans",
    "dependentRequired": "use anyOf of the cases",
    "dependentSchemas": "use anyOf of the cases",
    "dependencies": "use anyOf of the cases",
    "unevaluatedProperties": "use additionalProperties",
    "unevaluatedItems": "use items",
    "propertyNames": "use patternProperties",
    "$dynamicRef": "use $ref",
    "$recursiveRef": "use $ref",
    "discriminator": "use anyOf of objects with a const property",
}
"""Keywords that no engine enforces, and what to do."""
_MOST_REFERENCES = 64
"""References that may lead on to each other before a schema is reached."""
_OPTIONS = "x-guidance"
_EMPTY: dict[str, tuple[Any, ...]] = {
    "uniqueItems": (False,),
    "unevaluatedProperties": (True, {}),
    "unevaluatedItems": (True, {}),
    "minContains": (0,),
    "dependentRequired": ({},),
    "dependentSchemas": ({},),
    "dependencies": ({},),
    "propertyNames": (True, {}, {"type": "string"}),
    "contains": (),
}
"""Values of them that allow everything."""


def plain_schema(field: str, schema: dict[str, Any]) -> None:
    """Change ``schema``, which is one of draft 2020-12. Raises INVALID_ARGUMENT with the keyword
    and the way out."""
    if _OPTIONS in schema:
        raise invalid(
            Code.RESERVED_INPUT,
            field,
            f"{_OPTIONS} is an option of a compiler, not of a schema; leave it out",
        )
    parts = reachable(field, schema)
    for part in parts:
        _one_of(field, schema, part)
    for part in parts:
        for name in _NOTES:
            part.pop(name, None)
        _names(part)
        for name, harmless in _EMPTY.items():
            if name in part and any(_same(part[name], value) for value in harmless):
                del part[name]
        for name, instead in _REFUSED.items():
            if name in part:
                raise invalid(
                    Code.GUIDE_UNSUPPORTED,
                    field,
                    f"{name} cannot be enforced while the answer is written; {instead}, and check "
                    "the answer yourself",
                )
        _nullable(part)
        _format(field, part)
        _required(part)
        _whole_bounds(part)


def rust_patterns(field: str, schema: dict[str, Any]) -> None:
    """Change the regular expressions of ``schema``. Raises INVALID_ARGUMENT."""
    for part in reachable(field, schema):
        if "pattern" in part:
            part["pattern"] = rust_regex(field, part["pattern"])
        if "patternProperties" in part:
            part["patternProperties"] = {
                rust_regex(field, name): item for name, item in part["patternProperties"].items()
            }


def reachable(field: str, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all schemas within it, and those that references lead to elsewhere in it, each
    once."""
    found: dict[int, dict[str, Any]] = {}
    waiting = [schema]
    while waiting:
        for part in subschemas(waiting.pop()):
            if id(part) in found:
                continue
            found[id(part)] = part
            if "$ref" in part:
                target = resolve(field, schema, part["$ref"])
                if isinstance(target, dict) and id(target) not in found:
                    waiting.append(target)
    return list(found.values())


def _one_of(field: str, root: dict[str, Any], part: dict[str, Any]) -> None:
    def followed(schema: Any) -> Any:
        for _ in range(_MOST_REFERENCES):
            if not isinstance(schema, dict) or "$ref" not in schema:
                return schema
            schema = resolve(field, root, schema["$ref"])
        return schema

    if "oneOf" in part and "anyOf" not in part and exclusive(part["oneOf"], followed):
        part["anyOf"] = part.pop("oneOf")
    if "anyOf" in part or "oneOf" in part:
        part.pop("discriminator", None)  # OpenAPI's says again what the members say


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)


def _names(part: dict[str, Any]) -> None:
    """Rewrite ``propertyNames`` of a map: of zod's records and pydantic's dictionaries."""
    names = part.get("propertyNames")
    if not isinstance(names, dict) or part.get("properties") or part.get("patternProperties"):
        return
    rest = set(names) - {"type", *_NOTES}
    value = part.get("additionalProperties", True)
    if rest <= {"enum", "const"} and rest:
        allowed = names.get("enum", [names.get("const")])
        part["properties"] = {name: value for name in allowed if isinstance(name, str)}
    elif rest == {"pattern"}:
        part["patternProperties"] = {names["pattern"]: value}
    else:
        return
    del part["propertyNames"]
    part["additionalProperties"] = False


def _nullable(part: dict[str, Any]) -> None:
    """Rewrite OpenAPI 3.0's ``nullable``."""
    if part.pop("nullable", False) is not True:
        return
    kind = part.get("type")
    if kind is None:
        return
    kinds = kind if isinstance(kind, list) else [kind]
    part["type"] = [*kinds, *(["null"] if "null" not in kinds else [])]
    if "enum" in part and None not in part["enum"]:
        part["enum"] = [*part["enum"], None]


def _format(field: str, part: dict[str, Any]) -> None:
    name = part.pop("format", None)
    if name is None or name in ANNOTATIONS:
        return
    kind = part.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if name in INTEGERS:
        _also(part, INTEGERS[name])
    elif name in PATTERNS:
        if not {"string", None} & set(kinds):
            return
        if "pattern" in part:
            _also(part, {"pattern": PATTERNS[name]})
        else:
            part["pattern"] = PATTERNS[name]
    else:
        raise invalid(
            Code.GUIDE_UNSUPPORTED,
            field,
            f"format {name!r} cannot be enforced; leave it out, or use pattern; formats are "
            + ", ".join(sorted((*PATTERNS, *INTEGERS, *ANNOTATIONS))),
        )


def _required(part: dict[str, Any]) -> None:
    """Declare what is required and not declared."""
    more = part.get("additionalProperties", True)
    if "required" not in part or "patternProperties" in part or more is False:
        return
    properties = part.setdefault("properties", {})
    for name in part["required"]:
        properties.setdefault(name, {} if more is True else more)


def _whole_bounds(part: dict[str, Any]) -> None:
    """Round the bounds of integers: 0.5 is 1 for a minimum, 0 for a maximum."""
    if part.get("type") != "integer":
        return
    for name, round_to, strict in (
        ("minimum", math.ceil, "exclusiveMinimum"),
        ("maximum", math.floor, "exclusiveMaximum"),
    ):
        for key in (name, strict):
            if isinstance(part.get(key), float):
                value = part.pop(key)
                if value.is_integer():
                    part[key] = int(value)
                else:
                    _also(part, {name: round_to(value)})


def _also(part: dict[str, Any], more: dict[str, Any]) -> None:
    free = not set(more) & set(part)
    if free:
        part.update(more)
    else:
        part["allOf"] = [*part.get("allOf", ()), dict(more)]
