"""A JSON schema with its references written out."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.schema.check import TOOL_REGEX_SIZE, check_schema
from gemma4_runtime.guides.schema.drafts import LISTS, MAPS, SCHEMAS

__all__ = ["Expansion", "resolve"]

_MOST_DEPTH = 64
"""Levels of nesting, and references that lead on to each other; as for all JSON of clients."""
_INDEX = re.compile(r"[0-9]{1,6}\Z")
_LEFT_OUT = ("$defs", "definitions", "$schema", "$id", "$comment", "$anchor")
_ELSEWHERE = ("$dynamicRef", "$recursiveRef")


class Expansion:
    """Writes out the references of the schemas of one request, which come to at most ``most``
    characters together. A schema that contains itself ends in a description."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._checked: dict[int, Any] = {}

    def expand(self, field: str, schema: dict[str, Any]) -> Any:
        """Return a copy of a valid schema. Raises INVALID_ARGUMENT for a reference that leads
        elsewhere or nowhere, and beyond the limit."""
        return self._schema(field, schema, schema, (), _MOST_DEPTH)

    def _schema(
        self, field: str, root: dict[str, Any], schema: Any, within: tuple[str, ...], depth: int
    ) -> Any:
        if depth == 0:
            raise invalid(
                Code.INPUT_TOO_COMPLEX,
                field,
                f"with its $ref written out is nested deeper than {_MOST_DEPTH}",
            )
        self._spend(field, 2)
        if not isinstance(schema, dict):
            return schema
        while "$ref" in schema:
            place = schema["$ref"]
            self._spend(field, len(place))
            target = self._target(field, root, place)
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            if place in within:
                return self._again(field, place, target, beside)
            if len(within) == _MOST_DEPTH:
                raise invalid(
                    Code.INPUT_TOO_COMPLEX,
                    field,
                    f"more than {_MOST_DEPTH} $ref lead on to each other; use fewer",
                )
            within = (*within, place)
            if not isinstance(target, dict) and not beside:
                return target
            schema = (target if isinstance(target, dict) else {}) | beside
        new: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _ELSEWHERE:
                raise invalid(
                    Code.INVALID_SCHEMA, field, f"{key} cannot be shown to the model; use $ref"
                )
            if key not in _LEFT_OUT:
                self._spend(field, len(key))
                new[key] = self._keyword(field, root, key, value, within, depth - 1)
        return new

    def _target(self, field: str, root: dict[str, Any], place: str) -> Any:
        """Return a valid schema: what ``#/$defs/a`` is in ``root``."""
        target = resolve(field, root, place)
        if isinstance(target, bool):
            return target
        if not isinstance(target, dict):
            raise invalid(
                Code.INVALID_SCHEMA, field, f"$ref {place!r} leads to what is no schema; correct it"
            )
        if id(target) not in self._checked:
            check_schema(field, target, most_regex_size=TOOL_REGEX_SIZE)
            self._checked[id(target)] = target
        return target

    def _keyword(
        self,
        field: str,
        root: dict[str, Any],
        key: str,
        value: Any,
        within: tuple[str, ...],
        depth: int,
    ) -> Any:
        if key in MAPS:
            self._spend(field, sum(map(len, value)))
            return {
                name: self._schema(field, root, item, within, depth) for name, item in value.items()
            }
        if key in LISTS:
            return [self._schema(field, root, item, within, depth) for item in value]
        if key in SCHEMAS:
            return self._schema(field, root, value, within, depth)
        self._spend(field, _size(value))
        return value

    def _again(self, field: str, place: str, target: Any, beside: dict[str, Any]) -> dict[str, Any]:
        name = place.rsplit("/", 1)[-1]
        which = "the whole" if name == "#" else f"the {name}"
        said = f"as {which} that contains it"
        if isinstance(beside.get("description"), str):
            said = f"{beside['description']} ({said})"
        self._spend(field, len(said))
        kind = target.get("type") if isinstance(target, dict) else None
        return {"description": said} | ({"type": kind} if kind else {})

    def _spend(self, field: str, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise invalid(
                Code.INPUT_TOO_COMPLEX,
                field,
                f"with every $ref written out the tools come to more than {self._most} characters; "
                "use fewer references",
            )


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return 2 + sum(len(key) + _size(item) for key, item in value.items())
    if isinstance(value, list):
        return 2 + sum(map(_size, value))
    return 1


def resolve(field: str, root: Any, place: str) -> Any:
    """Return what the reference ``place`` leads to in ``root``. Raises INVALID_ARGUMENT for one
    that leads elsewhere or nowhere."""
    if not place.startswith("#/") and place != "#":
        raise invalid(
            Code.INVALID_SCHEMA,
            field,
            f"$ref {place!r} leads out of this schema; only #/... can be read; copy it here",
        )
    at = root
    for step in unquote(place).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and name in at:
            at = at[name]
        elif isinstance(at, list) and _INDEX.match(name) and int(name) < len(at):
            at = at[int(name)]
        else:
            raise invalid(
                Code.INVALID_SCHEMA,
                field,
                f"$ref {place!r} leads nowhere in this schema; correct it",
            )
    return at
