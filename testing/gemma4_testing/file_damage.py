"""Seeded damage to files, for fuzzers: to bytes, and to the structure of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

__all__ = ["NASTY", "damage_bytes", "damage_json"]

DEEP = "[" * 200_000

NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 255, 2**31 - 1, 2**31, 2**32, 2**63, 2**64, 10**30, -(10**30),
    0.5, -0.0, 1e-300, 1e300, "", "x", "0", "\x00", "\n", "\x1b[2J", "\ud800", "../x", "/etc/passwd",
    "é", "x" * 5000, [], [[]], [0], ["x"], [None], {}, {"": None}, {"a": {"b": 1}},
]  # fmt: skip
"""Values that somebody could put where another is expected."""

_LITERALS = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, DEEP, "", '"', "\\", "nul")


def damage_bytes(data: bytes, random: Random) -> bytes:
    """``data`` cut, stretched, or with a few bytes changed."""
    kind = random.randrange(7)
    at = random.randrange(len(data) + 1)
    if kind == 0:
        return data[:at]
    if kind == 1:
        changed = bytearray(data or b" ")
        for _ in range(random.randint(1, 4)):
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        return bytes(changed)
    if kind == 2:
        return data[:at] + random.randbytes(random.randint(1, 8)) + data[at:]
    if kind == 3:
        return data[:at] + data[min(len(data), at + random.randint(1, 64)) :]
    if kind == 4:
        return data[:at] + data[at : at + 64] + data[at:]
    if kind == 5:
        return random.choice((b"", b"\0" * 64, b"\xff\xfe{}", b"\xef\xbb\xbf" + data))
    return random.choice((DEEP.encode(), b'{"a":' * 200_000, b"{" + b'"k":1,' * 3 + b'"k":2}'))


def damage_json(data: bytes, random: Random) -> bytes:
    """One place of a JSON document replaced, removed, renamed, doubled or made no JSON."""
    document = json.loads(data)
    places: list[tuple[Any, Any]] = []
    _collect(document, places, random)
    if not places:
        return damage_bytes(data, random)
    container, key = random.choice(places)
    _EDITS[random.randrange(len(_EDITS))](container, key, random)
    text = json.dumps(document)
    if _MARK in text:
        text = text.replace(json.dumps(_MARK), random.choice(_LITERALS), 1)
    if _TWICE in text:
        text = text.replace(json.dumps(_TWICE), json.dumps(str(key)), 1)
    return text.encode()


_MARK = "a literal goes here"
_TWICE = "a second key of the same name"


def _collect(value: Any, places: list[tuple[Any, Any]], random: Random) -> None:
    """Places by container and key; of long containers only some."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if len(keys) > 40:
        keys = random.sample(keys, 40)
    for key in keys:
        places.append((value, key))
        if isinstance(value[key], dict | list):
            _collect(value[key], places, random)


def _replace(container: Any, key: Any, random: Random) -> None:
    container[key] = random.choice(NASTY)


def _remove(container: Any, key: Any, random: Random) -> None:
    del random, container[key]


def _rename(container: Any, key: Any, random: Random) -> None:
    if isinstance(container, dict):
        container[random.choice(("", "x", f"{key}x", "\x1b[31m", "\ud800"))] = container.pop(key)
    else:
        container.insert(key, container[key])


def _double(container: Any, key: Any, random: Random) -> None:
    if isinstance(container, dict):
        container[_TWICE] = random.choice((container[key], None))
    else:
        container.extend(container[:1])


def _literal(container: Any, key: Any, random: Random) -> None:
    del random
    container[key] = _MARK


def _nudge(container: Any, key: Any, random: Random) -> None:
    value = container[key]
    if isinstance(value, bool):
        container[key] = not value
    elif isinstance(value, int | float):
        container[key] = random.choice((value + 1, value - 1, -value, value * 2, float(value)))
    elif isinstance(value, str):
        container[key] = random.choice((value + "x", value[:-1], value.upper(), [value]))
    else:
        container[key] = [value]


_EDITS: tuple[Callable[[Any, Any, Random], None], ...] = (
    _replace, _replace, _remove, _rename, _double, _literal, _nudge, _nudge,
)  # fmt: skip
