"""Where streamed Markdown can be cut: what stands before a cut never changes again. Pure."""

from __future__ import annotations

import re

__all__ = ["cut"]

_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)


def cut(text: str) -> int:
    """Return the length of the part of ``text`` that is whole: up to the last blank line outside a
    fenced code block that is followed by text at the margin (an indented line still belongs to the
    list item before it)."""
    at, fence = 0, ""
    for match in re.finditer(r"[^\n]*\n", text):
        line = match.group()
        found = _FENCE.match(line)
        if found and not fence:
            fence = found.group(1)[0]
        elif found and found.group(1)[0] == fence:
            fence = ""
        following = text[match.end() : match.end() + 1]
        if not fence and not line.strip() and following not in ("", " ", "\t", "\n"):
            at = match.end()
    return at
