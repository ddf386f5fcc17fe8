"""Text of a server on its way to a terminal, which must not obey it."""

from __future__ import annotations

import re

__all__ = ["visible"]

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters (ECMA-48's C0 and C1) but tab and line feed, and lone surrogates, which no
terminal can be sent. Joiners and marks of direction stay: words and emoji are made with them."""


def visible(text: str) -> str:
    """Return ``text`` with control characters as escapes. A carriage return is left out."""
    return _OBEYED.sub(lambda match: ascii(match[0])[1:-1], text.replace("\r", ""))
