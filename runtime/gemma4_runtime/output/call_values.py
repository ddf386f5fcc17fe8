"""Reader of the arguments of a tool call: ``{key:value,...}`` to JSON text.

Strings stand between two quote tokens and have no escapes: quotes, braces and newlines in them are
literal. Models also write JSON's or Python's strings, forget commas and quotes, or double braces;
docs/serving.md has the table of what is repaired. What has two readings is refused.

Every character is read a bounded number of times, so the time is linear in the length.
"""

from __future__ import annotations

import json
import math
import re

__all__ = ["QUOTE", "ArgumentReader", "MalformedCallError"]

QUOTE = "\ud800"
"""Stands for a quote token. Decoded UTF-8 never holds a surrogate, so text cannot be taken for it,
and typed characters cannot end a string."""

_KEY = re.compile(rf"[^:={{}}\[\],\"'{QUOTE}]+")
_PLAIN_KEY = re.compile(r"[\w.\-]+")
_BARE = re.compile(rf"[^,{{}}\[\]{QUOTE}]*")
_QUOTED = {
    '"': re.compile(rf'"((?:[^"\\{QUOTE}]|\\[^{QUOTE}])*+)"', re.DOTALL),
    "'": re.compile(rf"'((?:[^'\\{QUOTE}]|\\[^{QUOTE}])*+)'", re.DOTALL),
}
_IN_SINGLE = re.compile(r"\\.|\"", re.DOTALL)
_SECOND_KEY = re.compile(r"\s[^\W\d][\w.\-]*\s*:(?!//)")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WORDS = {"true": "true", "false": "false", "True": "true", "False": "false",
          "null": "null", "None": "null", "none": "null"}  # fmt: skip
_DEEPEST = 64


class MalformedCallError(ValueError):
    """The text is no tool call, or could be two."""


class ArgumentReader:
    """Reads one object of ``text`` from ``at``, which then is the position after it.

    Values become JSON text and not Python values: a number keeps its digits, where Python refuses
    to read integers of more than 4,300 of them and msgpack those beyond 64 bits.
    """

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self.at = at

    def object(self, depth: int = 0) -> str:
        """JSON text. Raises :class:`MalformedCallError`."""
        if depth > _DEEPEST:
            raise MalformedCallError("nested too deep")
        self._take("{")
        if self._peek() == "{":  # doubled braces
            inner = self.object(depth + 1)
            self._take("}")
            return inner
        members: dict[str, str] = {}
        separated = True
        while self._peek() != "}":
            key = self._key(plain=not separated)
            self._take(":=")
            members[key] = self._value(depth, in_array=False)
            separated = self._comma()
        self.at += 1
        return "{" + ", ".join(f"{_json(k)}: {v}" for k, v in members.items()) + "}"

    def _array(self, depth: int) -> str:
        if depth > _DEEPEST:
            raise MalformedCallError("nested too deep")
        self._take("[")
        items: list[str] = []
        separated = True
        while (first := self._peek()) != "]":
            if not separated and first not in QUOTE + "\"'{[":
                raise MalformedCallError(f"',' expected at {self.at}")
            items.append(self._value(depth, in_array=True))
            separated = self._comma()
        self.at += 1
        return "[" + ", ".join(items) + "]"

    def _peek(self) -> str:
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1
        if self.at == len(self._text):
            raise MalformedCallError("the call ends early")
        return self._text[self.at]

    def _take(self, expected: str) -> None:
        if self._peek() not in expected:
            raise MalformedCallError(f"one of {expected!r} expected at {self.at}")
        self.at += 1

    def _comma(self) -> bool:
        found = self._peek() == ","
        self.at += found
        return found

    def _key(self, *, plain: bool) -> str:
        """``plain``: no comma stands before it, so only a quoted key or one word is a key."""
        first = self._peek()
        if first in QUOTE + "\"'":
            return self._string(first)
        match = (_PLAIN_KEY if plain else _KEY).match(self._text, self.at)
        if match is None:
            raise MalformedCallError(f"key expected at {self.at}")
        self.at = match.end()
        if self._peek() in (QUOTE, '"'):  # the opening quote is missing
            self.at += 1
        return match[0].strip()

    def _value(self, depth: int, *, in_array: bool) -> str:
        first = self._peek()
        if first in QUOTE + "\"'":
            return _json(self._string(first))
        if first == "{":
            return self.object(depth + 1)
        if first == "[":
            return self._array(depth + 1)
        return self._bare(in_array=in_array)

    def _string(self, mark: str) -> str:
        if mark == QUOTE:
            end = self._text.find(QUOTE, self.at + 1)
            if end < 0:
                raise MalformedCallError("a string does not end")
            found = self._text[self.at + 1 : end]
            self.at = end + 1
            return found
        match = _QUOTED[mark].match(self._text, self.at)
        if match is None:
            raise MalformedCallError(f"the string at {self.at} does not end")
        self.at = match.end()
        found = match[1]
        if mark == "'" and "\\" in found:
            found = _IN_SINGLE.sub(_as_in_double, found)
        return _unescaped(found)

    def _bare(self, *, in_array: bool) -> str:
        """A number, a word of JSON or Python, or text without quotes."""
        match = _BARE.match(self._text, self.at)
        assert match is not None
        self.at = match.end()
        word = match[0].strip()
        if self._peek() == QUOTE:  # the opening quote is missing, or a number has one too many
            self.at += 1
        elif word.endswith('"'):
            word = word[:-1].rstrip()
        if self._peek() not in ",}]":
            raise MalformedCallError(f"',' expected at {self.at}")
        if word in _WORDS:
            return _WORDS[word]
        if _is_number(word):
            return word
        if not word or '"' in word or word[0] in ":='" or word[-1] == "'":
            raise MalformedCallError(f"value expected before {self.at}")
        if _SECOND_KEY.search(word):
            raise MalformedCallError("text with a colon, or a missing comma")
        if in_array and all(_is_number(part) for part in word.split()):
            raise MalformedCallError("text, or numbers without a comma")
        return _json(word)


def _as_in_double(match: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(match[0], match[0])


def _unescaped(inside: str) -> str:
    if "\\" not in inside:
        return inside
    try:
        text: str = json.loads(f'"{inside}"', strict=False)
        text.encode()
    except ValueError as error:
        raise MalformedCallError("an escape that JSON does not have") from error
    return text


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _is_number(word: str) -> bool:
    """A number of JSON. One beyond the range of a double, such as 1e999, is a word: most readers
    would make Infinity of it, which is no JSON."""
    if not _NUMBER.fullmatch(word):
        return False
    return word.lstrip("-").isdigit() or math.isfinite(float(word))
