"""How large a regular expression or a GBNF grammar is when its counted repeats are written out.

``a{1000}`` is eight characters and a thousand states; ``((a{9}){9}){9}`` is 729. The count is an
upper bound: it needs no parser of either language, only what nests, and what repeats.
"""

from __future__ import annotations

import re

__all__ = ["expanded_size"]

_COUNTS = re.compile(r"\{(\d*)(,?)(\d*)\}")
_MOST = 10**12
"""Counting ends here."""
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_STRING = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)
_COMMENT = re.compile(r"#[^\n]*")


def expanded_size(text: str, *, grammar: bool = False) -> int:
    """Count the parts of a regex, or, with ``grammar``, of GBNF rules: characters, classes, names.
    Takes time linear in ``text``."""
    open_groups: list[int] = []
    total, last, at = 0, 0, 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "(":
            open_groups.append(total)
            total, last = 0, 0
        elif char == ")":
            last = total
            total += open_groups.pop() if open_groups else 0
        elif char == "{" and (counts := _COUNTS.match(text, at - 1)):
            at = counts.end()
            total = min(total + last * (_times(counts) - 1), _MOST)
            last *= _times(counts)
        elif char not in "*+?|":
            at, last = _part(text, at - 1, grammar=grammar)
            total += last
    return total + sum(open_groups)


def _times(counts: re.Match[str]) -> int:
    """Return how often a part repeats, at least 1: what repeats no times is still read."""
    numbers = [int(digits[:12]) for digits in (counts[1], counts[3]) if digits]
    return max(1, *numbers) if numbers else 1


def _part(text: str, at: int, *, grammar: bool) -> tuple[int, int]:
    """Return where the part at ``at`` ends, and its size."""
    if text[at] == "\\" and not grammar:
        return at + 2, 1
    if text[at] == "[" and (found := _CLASS.match(text, at)):
        return found.end(), 1
    if grammar and text[at] == '"' and (found := _STRING.match(text, at)):
        return found.end(), max(1, found.end() - at - 2)
    if grammar and text[at] == "#" and (found := _COMMENT.match(text, at)):
        return found.end(), 0
    return at + 1, 0 if grammar and text[at].isspace() else 1
