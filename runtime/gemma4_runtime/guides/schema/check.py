"""Whether a JSON value is a JSON schema (draft 2020-12), as jsonschema's Draft202012Validator sees
it, at about a 700th of its time: jsonschema-rs looks at the metaschema, and Python's ``re`` at the
regular expressions, which jsonschema checks as a format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.regex_bound import check_regex
from gemma4_runtime.guides.schema.drafts import LISTS, MAPS, SCHEMAS

__all__ = ["TOOL_REGEX_SIZE", "check_schema", "subschemas"]

TOOL_REGEX_SIZE = 10_000
"""Patterns in a tool's schemas are compiled only to see whether they are any."""

_validator: Any = Draft202012Validator(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"},
)

_SHOWN = 200
"""Characters of a fault that an error shows."""


def check_schema(field: str, schema: dict[str, Any], *, most_regex_size: int) -> None:
    """Raise INVALID_ARGUMENT with the place of the fault."""
    try:
        _validator.validate(schema)
    except ValidationError as error:
        where = "".join(f"[{step!r}]" for step in error.instance_path)
        raise invalid(
            Code.INVALID_SCHEMA,
            field,
            f"is not a JSON schema: {error.message[:_SHOWN]}" + (where and f", at {where}"),
        ) from None
    for pattern in _patterns(schema):
        check_regex(field, pattern, most_size=most_regex_size)


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Give ``schema`` and every schema within it that is an object."""
    if not isinstance(schema, dict):
        return
    yield schema
    for name in MAPS:
        for item in schema.get(name, {}).values():
            yield from subschemas(item)
    for name in LISTS:
        for item in schema.get(name, ()):
            yield from subschemas(item)
    for name in SCHEMAS:
        yield from subschemas(schema.get(name))


def _patterns(schema: dict[str, Any]) -> Iterator[str]:
    for item in subschemas(schema):
        if "pattern" in item:
            yield item["pattern"]
        yield from item.get("patternProperties", ())
