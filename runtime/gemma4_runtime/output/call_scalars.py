"""Strings, numbers and words in the arguments of a tool call."""

from __future__ import annotations

import json
import math
import re

__all__ = ["QUOTE", "WORDS", "MalformedCallError", "is_number", "json_string", "string_at"]

QUOTE = "\ud800"
"""Stands for a quote token. Decoded UTF-8 never holds a surrogate, so text cannot be taken for it,
and typed characters cannot end a string."""

WORDS = {"true": "true", "false": "false", "True": "true", "False": "false",
         "null": "null", "None": "null", "none": "null"}  # fmt: skip
"""Bare words that are values of JSON."""

_QUOTED = {
    '"': re.compile(rf'"((?:[^"\\{QUOTE}]|\\[^{QUOTE}])*+)"', re.DOTALL),
    "'": re.compile(rf"'((?:[^'\\{QUOTE}]|\\[^{QUOTE}])*+)'", re.DOTALL),
}
_IN_SINGLE = re.compile(r"\\.|\"", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)


class MalformedCallError(ValueError):
    """The text is no tool call, or could be two."""


def string_at(text: str, at: int) -> tuple[str, int]:
    """Return the string that the mark at ``at`` begins, and the position after it. Between quote
    tokens everything is literal; between ``"`` or ``'`` the escapes are JSON's, and ``\\'``."""
    mark = text[at]
    if mark == QUOTE:
        end = text.find(QUOTE, at + 1)
        if end < 0:
            raise MalformedCallError("a string does not end")
        return text[at + 1 : end], end + 1
    match = _QUOTED[mark].match(text, at)
    if match is None:
        raise MalformedCallError(f"the string at {at} does not end")
    found = match[1]
    if "\\" in found:
        found = _unescaped(found if mark == '"' else _IN_SINGLE.sub(_as_in_double, found))
    return found, match.end()


def _as_in_double(match: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(match[0], match[0])


def _unescaped(inside: str) -> str:
    try:
        text: str = json.loads(f'"{inside}"', strict=False)
        text.encode()
    except ValueError as error:
        raise MalformedCallError("an escape that JSON does not have") from error
    return text


def json_string(text: str) -> str:
    """Return it as JSON text."""
    return json.dumps(text, ensure_ascii=False)


def is_number(word: str) -> bool:
    """Return whether a word is a number of JSON. One beyond the range of a double, such as 1e999,
    is a word: most readers would make Infinity of it, which is no JSON."""
    if not _NUMBER.fullmatch(word):
        return False
    return word.lstrip("-").isdigit() or math.isfinite(float(word))
