r"""Regular expressions of JSON schemas (ECMA-262) in the words of Rust's, which engines read.

Where both take a pattern and mean different things, the meaning is ECMA-262's: ``\d`` is ``[0-9]``,
``.`` is no line end, ``[a&&b]`` has no operator. What no automaton can do is refused by name.
"""

from __future__ import annotations

import re

from gemma4_runtime.errors import Code, RequestError, invalid

__all__ = ["rust_regex"]

_SPACES = "\\t\\n\\v\\f\\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": _SPACES}
_ANY = "[^\\n\\r\u2028\u2029]"
_COUNT = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_HEX = re.compile(
    r"u\{([0-9A-Fa-f]{1,6})\}|u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})"
    r"|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})"
)
_NAMED = re.compile(r"\(\?P?<[A-Za-z_]\w*>")
_REFUSED = {
    "(?=": "a lookahead", "(?!": "a lookahead", "(?<=": "a lookbehind", "(?<!": "a lookbehind",
    "(?P=": "a back-reference", "(?(": "a condition", "(?>": "an atomic group",
}  # fmt: skip
_KEPT = "tnrfv"
_SPECIAL = frozenset("\\.+*?()|[]{}^$#&-~/ ")
_DECIMAL = r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"
"""pydantic's, of a Decimal as text."""
_EQUAL = {_DECIMAL: r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"}


def rust_regex(field: str, pattern: str) -> str:
    """Return ``pattern`` in Rust's words; it is one that Python's ``re`` takes."""
    return "".join(_Reader(field, _EQUAL.get(pattern, pattern)).parts())


class _Reader:
    def __init__(self, field: str, pattern: str) -> None:
        self._field = field
        self._pattern = pattern
        self._at = 0

    def parts(self) -> list[str]:
        out: list[str] = []
        while self._at < len(self._pattern):
            char = self._pattern[self._at]
            if char == "\\":
                out.append(self._escape(in_class=False))
            elif char == "[":
                out.append(self._class())
            elif char == "(":
                out.append(self._group())
            elif char == "{":
                count = _COUNT.match(self._pattern, self._at)
                out.append(count[0] if count else r"\{")
                self._at += len(count[0]) if count else 1
            else:
                out.append(_ANY if char == "." else r"\}" if char == "}" else char)
                self._at += 1
        return out

    def _refuse(self, what: str) -> RequestError:
        shown = self._pattern if len(self._pattern) <= 60 else self._pattern[:60] + "..."
        return invalid(
            Code.GUIDE_UNSUPPORTED,
            self._field,
            f"the regular expression {shown!r} has {what}, which no engine can enforce; write it "
            "without, or leave it out and check the answer yourself",
        )

    def _group(self) -> str:
        for mark, what in _REFUSED.items():
            if self._pattern.startswith(mark, self._at):
                raise self._refuse(what)
        named = _NAMED.match(self._pattern, self._at)
        self._at += len(named[0]) if named else 1
        return "(?:" if named else "("

    def _class(self) -> str:
        self._at += 1
        out = ["["]
        if self._pattern.startswith("^", self._at):
            out.append("^")
            self._at += 1
        if self._pattern.startswith("]", self._at):
            raise self._refuse("a class that begins with ], which readers take differently")
        while (char := self._pattern[self._at]) != "]":
            if char == "\\":
                out.append(self._escape(in_class=True))
                continue
            # Rust knows nested classes, and && -- ~~ between them.
            doubled = char in "&~-" and self._pattern.startswith(char * 2, self._at)
            out.append("\\" + char if char == "[" or doubled else char)
            self._at += 1
        self._at += 1
        return "".join(out) + "]"

    def _escape(self, *, in_class: bool) -> str:
        char = self._pattern[self._at + 1]
        self._at += 2
        if char.lower() in _CLASSES:
            inside = _CLASSES[char.lower()]
            if char.isupper():
                return f"[^{inside}]"
            return inside if in_class else f"[{inside}]"
        if char in "bB" and not in_class:
            raise self._refuse("a word boundary")
        if char.isdigit() and char != "0":
            raise self._refuse("a back-reference")
        if char in "AZ" and not in_class:
            raise self._refuse(f"\\{char}, which is Python's; use ^ or $")
        if char == "b":
            return "\x08"
        if char == "0":
            return "\x00"
        if char in _KEPT:
            return "\\" + char
        code = _HEX.match(self._pattern, self._at - 1)
        if code is not None:
            self._at += len(code[0]) - 1
            return _literal(_point(code))
        return _literal(char)


def _point(code: re.Match[str]) -> str:
    braces, high, low, four, two = code.groups()
    if high is not None:
        number = 0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)
    else:
        number = int(braces or four or two, 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else "\ufffd"


def _literal(char: str) -> str:
    return "\\" + char if char in _SPECIAL else char
