"""Text that may come from a client or a server, made safe to show on one line."""

from __future__ import annotations

import re

__all__ = ["clean", "escaped", "without_paths"]

_MOST = 2000
"""Characters of a text in a message."""
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters, line and paragraph separators, what turns the direction of text, what has no
width, and lone surrogates: a reader of the line must see what is there."""
_PATH = re.compile(r"(?:/[\w.@+\-]+){2,}/?")
_TRACE = re.compile(r"\s*(?:\n\s*At:\s*\n|Traceback \(most recent call last\)).*", re.DOTALL)


def escaped(text: str) -> str:
    """Write unsafe characters as JSON would write them."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def clean(text: str) -> str:
    """Clean a text for a message: escaped, and cut off where it is too long."""
    return escaped(text if len(text) <= _MOST else text[:_MOST] + " ...")


def without_paths(text: str) -> str:
    """Clean a text for a failure of a server: no traceback, and no paths of its machine."""
    return clean(_PATH.sub("...", _TRACE.sub("", text)))
