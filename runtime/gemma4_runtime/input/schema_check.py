"""Whether a JSON value is a JSON schema (draft 2020-12), as jsonschema's Draft202012Validator sees
it, at about a 700th of its time: jsonschema-rs looks at the metaschema, and Python's ``re`` at the
regular expressions, which jsonschema checks as a format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from gemma4_runtime.errors import invalid
from gemma4_runtime.input.regex_bound import check_regex

__all__ = ["check_schema", "subschemas"]

_validator: Any = Draft202012Validator(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"},
)

_MAPS = (
    "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies",
)  # fmt: skip
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SCHEMAS = (
    "items", "contains", "additionalProperties", "propertyNames", "if", "then", "else", "not",
    "unevaluatedItems", "unevaluatedProperties", "contentSchema",
)  # fmt: skip
_SHOWN = 200


def check_schema(field: str, schema: dict[str, Any], *, most_regex_size: int) -> None:
    """Raises INVALID_ARGUMENT with the place of the fault."""
    try:
        _validator.validate(schema)
    except ValidationError as error:
        where = "".join(f"[{step!r}]" for step in error.instance_path)
        raise invalid(
            field, f"is not a JSON schema: {error.message[:_SHOWN]}" + (where and f", at {where}")
        ) from None
    for pattern in _patterns(schema):
        check_regex(field, pattern, most_size=most_regex_size)


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """``schema`` and every schema within it that is an object."""
    if not isinstance(schema, dict):
        return
    yield schema
    for name in _MAPS:
        for item in schema.get(name, {}).values():
            yield from subschemas(item)
    for name in _LISTS:
        for item in schema.get(name, ()):
            yield from subschemas(item)
    for name in _SCHEMAS:
        yield from subschemas(schema.get(name))


def _patterns(schema: dict[str, Any]) -> Iterator[str]:
    for item in subschemas(schema):
        if "pattern" in item:
            yield item["pattern"]
        yield from item.get("patternProperties", ())
