"""Log lines for a person: time, level, event, and what belongs to it, in one style everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

__all__ = ["fact", "facts", "printable", "short_id", "shown_id", "text_line"]

_LEVELS = {
    "info": ("INFO", "32"),
    "warning": ("WARN", "33"),
    "error": ("ERROR", "31"),
    "fatal": ("FATAL", "1;31"),
    "critical": ("FATAL", "1;31"),
}
"""What is shown of a level, and its color as a terminal takes it (ECMA-48, SGR)."""
_DIM, _BOLD = "2", "1"
_OWN_ID = re.compile(r"(?:[a-z]+_)?([0-9a-f]{8})[0-9a-f-]{8,}")
"""Ids that we, or uuid, made: their first eight characters tell them apart."""
_LONGEST_ID = 40
"""Characters that are shown of an id that a client chose."""
_PLAIN = re.compile(r"[^\s\"'=\\]+")
_NOTHING: tuple[object, ...] = (None, "", [])
_ALWAYS = ("time", "level", "event")


def text_line(fields: Mapping[str, object], *, color: bool, words: str | None = None) -> str:
    """Return a line of :func:`~gemma4_runtime.logs.lines.log_fields` for people. ``words`` stand in
    place of the fields. Nothing in it can move the cursor of a terminal or begin another line."""
    clock = str(fields.get("time", ""))[11:19]
    level = str(fields.get("level", "info"))
    shown, code = _LEVELS.get(level, (level[:5].upper(), _DIM))
    if words is None:
        words = facts({name: value for name, value in fields.items() if name not in _ALWAYS})
    head = (
        _colored(printable(clock), _DIM, color),
        _colored(f"{printable(shown):<5}", code, color),
        _colored(printable(str(fields.get("event", ""))), _BOLD, color),
    )
    return " ".join((*head, printable(words))).rstrip()


def facts(fields: Mapping[str, object]) -> str:
    """Return ``name=value`` for every field that has a value."""
    return " ".join(
        f"{fact(name)}={fact(value)}" for name, value in fields.items() if value not in _NOTHING
    )


def fact(value: object) -> str:
    """Return one value of a line: ids shortened, and quoted where it would look like several."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return fact(",".join(value))
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = short_id(str(value))
    return (
        text
        if _PLAIN.fullmatch(text) and text.isprintable()
        else json.dumps(text, ensure_ascii=False)
    )


def short_id(text: str) -> str:
    """Return the beginning of an id that we made; any other text as it is."""
    found = _OWN_ID.fullmatch(text)
    return text if found is None else found[1]


def shown_id(text: str) -> str:
    """Return a request's id: ours shortened, a client's cut off where it is long."""
    text = short_id(text)
    return fact(text if len(text) <= _LONGEST_ID else f"{text[:_LONGEST_ID]}...")


def printable(text: str) -> str:
    """Return ``text`` with every character that a terminal would obey, or that is not shown,
    escaped: a client chooses its request id."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _colored(text: str, code: str, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color and text else text
