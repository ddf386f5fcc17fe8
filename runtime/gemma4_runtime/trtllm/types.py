"""The little type language of the recorded API.

``int | none``, ``'auto' | 'slow'``, ``list[int]``, ``KvCacheConfig | none``: alternatives between
bars; a quoted word is an allowed value, a capitalized one a recorded class.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ApiType", "describe", "matches", "parse_type"]

_PLAIN = ("bool", "int", "float", "str", "path", "dict", "object", "none")


@dataclass(frozen=True, slots=True)
class ApiType:
    """``literals`` are allowed words, ``plain`` names of :data:`_PLAIN`, ``items`` the types of
    lists, ``config`` the recorded class whose arguments a mapping may give."""

    text: str
    literals: tuple[str, ...]
    plain: frozenset[str]
    items: tuple[ApiType, ...]
    config: str | None


def parse_type(text: str) -> ApiType:
    """Parse a type. Raises :class:`ValueError` for what is not of the language."""
    literals: list[str] = []
    plain: set[str] = set()
    items: list[ApiType] = []
    config = None
    for part in _alternatives(text):
        if part.startswith("'") and part.endswith("'"):
            literals.append(part[1:-1])
        elif part in _PLAIN:
            plain.add(part)
        elif part.startswith("list[") and part.endswith("]"):
            items.append(parse_type(part[5:-1]))
        elif part[:1].isupper() and config is None:
            config = part
        else:
            raise ValueError(f"{text!r}: {part!r} is no type")
    return ApiType(text, tuple(literals), frozenset(plain), tuple(items), config)


def _alternatives(text: str) -> list[str]:
    """Split at the bars that are not inside brackets."""
    parts, depth, current = [], 0, ""
    for char in text:
        depth += (char == "[") - (char == "]")
        if char == "|" and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [*parts, current.strip()]


def matches(kind: ApiType, value: Any) -> bool:
    """Whether ``value`` is of the type. No coercion: "1" is no int, True neither. An instance of
    a class named like ``config`` is one."""
    if isinstance(value, str):
        return value in kind.literals or not kind.plain.isdisjoint(("str", "object"))
    if value is None:
        return "none" in kind.plain
    if "object" in kind.plain:
        return True
    if isinstance(value, bool):
        return "bool" in kind.plain
    if isinstance(value, int):
        return not kind.plain.isdisjoint(("int", "float"))
    if isinstance(value, float):
        return "float" in kind.plain
    if isinstance(value, Path):
        return "path" in kind.plain
    if isinstance(value, dict):
        return "dict" in kind.plain
    if isinstance(value, list):
        return any(all(matches(item, v) for v in value) for item in kind.items)
    return type(value).__name__ == kind.config


def describe(kind: ApiType) -> str:
    """For a person: ``true or false``, ``one of 'auto', 'slow'``, ``a list of int``."""
    words = []
    if kind.literals:
        words.append(
            f"one of {', '.join(map(repr, kind.literals))}"
            if len(kind.literals) > 1
            else repr(kind.literals[0])
        )
    names = {
        "bool": "true or false", "int": "an integer", "float": "a number", "str": "text",
        "path": "a path", "dict": "a mapping", "object": "an object",
    }  # fmt: skip
    words += [name for plain, name in names.items() if plain in kind.plain]
    words += [f"a list of {item.text}" for item in kind.items]
    if kind.config:
        words.append(f"a mapping of {kind.config}'s arguments")
    if "none" in kind.plain:
        words.append("null")
    return " or ".join(words)
