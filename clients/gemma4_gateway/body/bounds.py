"""How much JSON a body may hold, found before it is parsed."""

from __future__ import annotations

import sys

from gemma4_gateway.errors import ApiError

if sys.version_info >= (3, 11):
    import re
else:  # the standard library's has no possessive quantifiers
    import regex as re

__all__ = [
    "MOST_DEPTH",
    "MOST_DIGITS",
    "MOST_NODES",
    "check_bounds",
    "has_lone_surrogate",
    "has_long_number",
]

MOST_NODES = 50_000
"""Values and keys of a body, about. 128 tools with 100 parameters each are 40,000."""
MOST_DEPTH = 80
"""The engine takes 64 within a message, a tool or a schema."""
MOST_DIGITS = 308
"""No float has more before its point."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{\]},]', re.DOTALL)
"""A string, closed or not, or a mark of structure. It matches at every quote, so that a search is
linear whatever the body."""
_DIGITS = bytes.maketrans(b"0123456789", b"9" * 10)
_LONG_NUMBER = b"9" * (MOST_DIGITS + 1)
_LONE_SURROGATE = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB]..\\u[dD][c-fC-F]..)*+\\u", re.DOTALL
)
"""Whatever is none, then one."""


def check_bounds(body: bytes, most_nodes: int) -> None:
    """Bound a body. Raises :class:`~gemma4_gateway.errors.ApiError` 400. Costs 3 ms for 4 MiB of
    text, and at most some tens of ms of Python, in which other threads have their turns, for a
    bomb."""
    opens = body.count(b"[") + body.count(b"{")
    if opens <= MOST_DEPTH and opens + body.count(b",") <= most_nodes:
        return
    depth = nodes = 0
    for match in _TOKEN.finditer(body):
        mark = body[match.start()]
        if mark == 0x22:  # a string
            continue
        if mark in b"[{":
            depth += 1
            nodes += 1
            if depth > MOST_DEPTH:
                raise ApiError(
                    400, f"the body is nested deeper than {MOST_DEPTH}", code="body_too_deep"
                )
        elif mark in b"]}":
            depth -= 1
        else:
            nodes += 1
        if nodes > most_nodes:
            text = f"the body holds more than {most_nodes} values; send fewer, or shorter lists"
            raise ApiError(400, text, code="body_too_complex")


def has_lone_surrogate(body: bytes) -> bool:
    """Return whether an escape stands for half of a character, which UTF-8 cannot hold."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return False
    return _LONE_SURROGATE.match(body) is not None


def has_long_number(body: bytes) -> bool:
    """Return whether there are more digits in a row than a number may have, in a string or not."""
    return _LONG_NUMBER in body.translate(_DIGITS)
