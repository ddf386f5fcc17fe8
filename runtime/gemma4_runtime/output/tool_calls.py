"""Parser of Gemma 4's tool-call body: ``call:NAME{key:value,...}``.

Strings stand between two quote tokens and have no escapes: quotes, braces and newlines in them
are literal. The body arrives as parts: text, or a quoted string (split by token id, never by
text, so that typed characters cannot end a string).

Arguments are read into JSON text, not into Python values: a number keeps its digits whatever their
count, where Python refuses to read integers of more than 4,300 digits and msgpack those beyond 64
bits.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Literal

__all__ = ["MalformedCallError", "Part", "call_id", "parse_call"]

Part = tuple[Literal["text", "string"], str]

_NAME = re.compile(r"\s*(?:call:)?\s*([\w\-.]+)\s*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_BARE = re.compile(r"[^,}\]]+")
_KEY = re.compile(r"[^:{}\[\],]+")
_WORDS = {"true": "true", "false": "false", "null": "null", "None": "null", "none": "null"}
_DEEPEST = 64


class MalformedCallError(ValueError):
    """The body is no tool call."""


def call_id(key: str, index: int) -> str:
    """``call_`` and 24 hex digits, the same for the same request and call."""
    return "call_" + hashlib.sha256(f"{key}/{index}".encode()).hexdigest()[:24]


def parse_call(parts: list[Part]) -> tuple[str, str]:
    """Name, and arguments as the text of a JSON object. Raises :class:`MalformedCallError`."""
    return _Reader(parts).call()


class _Reader:
    def __init__(self, parts: list[Part]) -> None:
        self._strings = [text for kind, text in parts if kind == "string"]
        self._next_string = 0
        # One private character stands for each quoted string; the same character in text is
        # replaced, so it cannot be mistaken for one.
        self._text = "".join(
            "\x00" if kind == "string" else text.replace("\x00", "\ufffd") for kind, text in parts
        )
        self._at = 0

    def call(self) -> tuple[str, str]:
        match = _NAME.match(self._text)
        if match is None:
            raise MalformedCallError("no function name")
        self._at = match.end()
        arguments = self._object(0)
        self._space()
        if self._at != len(self._text):
            raise MalformedCallError("text after the arguments")
        return match[1], arguments

    def _space(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _peek(self) -> str:
        self._space()
        if self._at == len(self._text):
            raise MalformedCallError("the call ends early")
        return self._text[self._at]

    def _take(self, expected: str) -> None:
        if self._peek() != expected:
            raise MalformedCallError(f"{expected!r} expected at {self._at}")
        self._at += 1

    def _string(self) -> str:
        self._at += 1
        self._next_string += 1
        return self._strings[self._next_string - 1]

    def _object(self, depth: int) -> str:
        if depth > _DEEPEST:
            raise MalformedCallError("nested too deep")
        self._take("{")
        members: dict[str, str] = {}
        while self._peek() != "}":
            if members:
                self._take(",")
            key = self._key()
            self._take(":")
            members[key] = self._value(depth)
        self._at += 1
        return "{" + ", ".join(f"{_quoted(k)}: {v}" for k, v in members.items()) + "}"

    def _key(self) -> str:
        if self._peek() == "\x00":
            return self._string()
        match = _KEY.match(self._text, self._at)
        if match is None:
            raise MalformedCallError(f"key expected at {self._at}")
        self._at = match.end()
        return match[0].strip().strip('"')

    def _array(self, depth: int) -> str:
        if depth > _DEEPEST:
            raise MalformedCallError("nested too deep")
        self._take("[")
        items: list[str] = []
        while self._peek() != "]":
            if items:
                self._take(",")
            items.append(self._value(depth))
        self._at += 1
        return "[" + ", ".join(items) + "]"

    def _value(self, depth: int) -> str:
        first = self._peek()
        if first == "\x00":
            return _quoted(self._string())
        if first == "{":
            return self._object(depth + 1)
        if first == "[":
            return self._array(depth + 1)
        match = _BARE.match(self._text, self._at)
        if match is None:
            raise MalformedCallError(f"value expected at {self._at}")
        self._at = match.end()
        word = match[0].strip()
        if word in _WORDS:
            return _WORDS[word]
        if _is_number(word):
            return word
        if "\x00" in word:
            raise MalformedCallError("a string in the middle of a bare value")
        return _quoted(word.strip('"'))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _is_number(word: str) -> bool:
    """A number of JSON. One beyond the range of a double, such as 1e999, is a word: most readers
    would make Infinity of it, which is no JSON."""
    if not _NUMBER.fullmatch(word):
        return False
    return word.lstrip("-").isdigit() or math.isfinite(float(word))
