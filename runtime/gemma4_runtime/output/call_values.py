"""Reader of the arguments of a tool call: ``{key:value,...}`` to JSON text.

Strings stand between two quote tokens and have no escapes: quotes, braces and newlines in them are
literal. Models also write JSON's or Python's strings, forget commas and quotes, or double braces;
docs/messages.md has the table of what is repaired. What has two readings is refused.

Every character is read a bounded number of times, so the time is linear in the length.
"""

from __future__ import annotations

import re

from gemma4_runtime.output.call_scalars import (
    QUOTE,
    WORDS,
    MalformedCallError,
    is_number,
    json_string,
    string_at,
)

__all__ = ["MOST_VALUES", "ArgumentReader"]

_KEY = re.compile(rf"[^:={{}}\[\],\"'{QUOTE}]+")
_PLAIN_KEY = re.compile(r"[\w.\-]+")
_BARE = re.compile(rf"[^,{{}}\[\]{QUOTE}]*")
_AFTER_COMMA = re.compile(rf",[^:={{}}\[\]\"{QUOTE}]*+(?={QUOTE}\s*[,}}])")
"""The rest of a text with commas that lacks its opening quote: no key, and then a quote."""
_SECOND_KEY = re.compile(r"\s[^\W\d][\w.\-]*\s*:(?!//)")
_DEEPEST = 64
"""Levels of nesting in the arguments of a call."""
MOST_VALUES = 4096
"""Of one call. The thread that reads it serves other streams too: this many took it 50 ms, and a
string of 128 KiB takes it 1 ms."""


class ArgumentReader:
    """Reads one object of ``text`` from ``at``, which then is the position after it.

    Values become JSON text and not Python values: a number keeps its digits, where Python refuses
    to read integers of more than 4,300 of them and msgpack those beyond 64 bits.
    """

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self._values = 0
        self.at = at

    def object(self, depth: int = 0) -> str:
        """Read an object and return its JSON text. Raises :class:`MalformedCallError`."""
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
        return "{" + ", ".join(f"{json_string(k)}: {v}" for k, v in members.items()) + "}"

    def _array(self, depth: int) -> str:
        if depth > _DEEPEST:
            raise MalformedCallError("nested too deep")
        self._take("[")
        items: list[str] = []
        separated, after_bare = True, False
        while (first := self._peek()) != "]":
            if not separated and first not in QUOTE + "\"'{[":
                raise MalformedCallError(f"',' expected at {self.at}")
            start = self.at
            items.append(self._value(depth, in_array=True))
            bare = first not in QUOTE + "\"'{["
            item = self._text[start : self.at]
            if bare and after_bare and (QUOTE in item or '"' in item):
                raise MalformedCallError(f"one text with a comma, or two, before {self.at}")
            after_bare = bare
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
        """Read a key. ``plain``: no comma stands before it, so only a quoted key or one word is a
        key."""
        first = self._peek()
        if first in QUOTE + "\"'":
            return self._string()
        match = (_PLAIN_KEY if plain else _KEY).match(self._text, self.at)
        if match is None:
            raise MalformedCallError(f"key expected at {self.at}")
        self.at = match.end()
        if self._peek() in (QUOTE, '"'):  # the opening quote is missing
            self.at += 1
        return match[0].strip()

    def _value(self, depth: int, *, in_array: bool) -> str:
        self._values += 1
        if self._values > MOST_VALUES:
            raise MalformedCallError(f"more than {MOST_VALUES} values")
        first = self._peek()
        if first in QUOTE + "\"'":
            return json_string(self._string())
        if first == "{":
            return self.object(depth + 1)
        if first == "[":
            return self._array(depth + 1)
        return self._bare(in_array=in_array)

    def _string(self) -> str:
        found, self.at = string_at(self._text, self.at)
        return found

    def _bare(self, *, in_array: bool) -> str:
        """Read a number, a word of JSON or Python, or text without quotes."""
        match = _BARE.match(self._text, self.at)
        assert match is not None
        self.at = match.end()
        more = None if in_array else _AFTER_COMMA.match(self._text, self.at)
        if more is not None and not more[0].rstrip().endswith(","):
            self.at = more.end()
        word = self._text[match.start() : self.at].strip()
        if self._peek() == QUOTE:  # the opening quote is missing, or a number has one too many
            self.at += 1
        elif word.endswith('"'):
            word = word[:-1].rstrip()
        if self._peek() not in ",}]":
            raise MalformedCallError(f"',' expected at {self.at}")
        if word in WORDS:
            return WORDS[word]
        if is_number(word):
            return word
        if not word or '"' in word or word[0] in ":='" or word[-1] == "'":
            raise MalformedCallError(f"value expected before {self.at}")
        if _SECOND_KEY.search(word):
            raise MalformedCallError("text with a colon, or a missing comma")
        if in_array and all(is_number(part) for part in word.split()):
            raise MalformedCallError("text, or numbers without a comma")
        return json_string(word)
