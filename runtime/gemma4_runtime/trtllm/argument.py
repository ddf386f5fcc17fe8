"""One argument of the recorded API, by its JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from jsonschema_rs import Draft202012Validator, Registry

__all__ = ["Argument"]

_LIMITS = {
    "minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}  # fmt: skip
_FORMS = {
    "minItems": "a list that is not empty", "minLength": "text that is not empty",
    "pattern": "a whole number, or text such as 512MB or 1GiB",
}  # fmt: skip
"""Limits of lists and texts. The only pattern is that of a number of bytes."""
_STAND_INS: tuple[object, ...] = ("", 0, {})
"""What fits as each of these fits wherever it stands."""
_WORDS = {
    "boolean": "true or false", "integer": "an integer", "number": "a number", "string": "text",
    "object": "a mapping",
}  # fmt: skip
_PLURALS = {
    "integer": "integers", "number": "numbers", "string": "texts", "object": "mappings",
    "array": "lists",
}  # fmt: skip


class Argument:
    """``record``: title of the record whose arguments a mapping may give, None where there is
    none. ``default``: None also where one is required."""

    def __init__(
        self, name: str, schema: dict[str, Any], registry: Registry, *, required: bool
    ) -> None:
        self.name = name
        self.schema = schema
        self.required = required
        self.default: Any = schema.get("default")
        references = [part["$ref"] for part in _alternatives(schema) if "$ref" in part]
        self.record: str | None = references[0].removesuffix(".json") if references else None
        self._validator: Any = Draft202012Validator(schema, registry=registry)

    def fits(self, value: Any) -> bool:
        """Say whether ``value`` is of the type, whatever the range. No coercion: "1" is no integer,
        nor is 1.0, which JSON Schema would take. An instance of the class ``record`` fits, which
        has checked its own arguments."""
        if self.record is not None and type(value).__name__ == self.record:
            return True
        if isinstance(value, PurePath) and self.schema.get("format") == "path":
            value = str(value)
        if _has_float(value) and "number" not in str(self.schema) and "integer" in str(self.schema):
            return False
        return all(
            error.kind.name in _LIMITS or error.kind.name in _FORMS
            for stand_in in _STAND_INS
            for error in self._validator.iter_errors(_as_json(value, stand_in))
        )

    def broken_limit(self, value: Any) -> str:
        """Name the limit that a ``value`` of the type breaks: ``at most 1``; "" for none."""
        for error in self._validator.iter_errors(_as_json(value, "")):
            if error.kind.name in _LIMITS:
                return f"{_LIMITS[error.kind.name]} {error.kind.value:g}"
            if error.kind.name in _FORMS:
                return _FORMS[error.kind.name]
        return ""

    def description(self) -> str:
        """Say the type to a person: ``true or false``, ``one of 'auto', 'slow'``, ``a list of
        integers or null``."""
        parts = list(_alternatives(self.schema))
        words = [word for part in parts for word in _describe(part)]
        return " or ".join([*words, "null"] if any(map(_takes_null, parts)) else words)


def _alternatives(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from schema.get("anyOf", [schema])


def _types(schema: dict[str, Any]) -> list[str]:
    names = schema.get("type", [])
    return [names] if isinstance(names, str) else names


def _takes_null(schema: dict[str, Any]) -> bool:
    return "null" in _types(schema) or None in schema.get("enum", ()) or not _says_type(schema)


def _says_type(schema: dict[str, Any]) -> bool:
    return not schema.keys().isdisjoint(("type", "enum", "not", "$ref"))


def _describe(schema: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield f"a mapping of {schema['$ref'].removesuffix('.json')}'s arguments"
    elif "enum" in schema:
        words = [repr(word) for word in schema["enum"] if isinstance(word, str)]
        yield f"one of {', '.join(words)}" if len(words) > 1 else words[0]
        if True in schema["enum"]:
            yield _WORDS["boolean"]
    elif not _types(schema):
        yield "an object"
    else:
        yield from (_WORDS[name] for name in _types(schema) if name in _WORDS)
        if schema.get("format") == "path":
            yield "a path"
        if "array" in _types(schema):
            yield f"a list of {_items(schema['items'])}"


def _items(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(map(repr, schema["enum"]))
    return _PLURALS[schema["type"]] if "type" in schema else "objects"


def _has_float(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, list) and any(map(_has_float, value)))


def _as_json(value: Any, stand_in: object) -> Any:
    """``value`` with ``stand_in`` for every object that is no JSON. No schema says what a mapping
    has, but for the records, which are checked by themselves."""
    if isinstance(value, dict):
        return {}
    if isinstance(value, list):
        return [_as_json(item, stand_in) for item in value]
    return value if value is None or isinstance(value, str | int | float) else stand_in
