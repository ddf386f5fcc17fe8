"""Text of unknown origin, made fit for a message."""

from __future__ import annotations

__all__ = ["one_line", "without_middle"]

MOST = 1500
"""Characters of a text that are shown whole."""
_KEEP = 700
"""Characters that are shown of each end of a longer one."""


def one_line(text: str) -> str:
    """Return ``text`` without line breaks, terminal codes and lone surrogates (each becomes its
    escape, as ``\\x1b``), and shortened in the middle beyond :data:`MOST` characters."""
    text = without_middle(text)
    if text.isprintable():
        return text
    return without_middle("".join(c if c.isprintable() else _escape(c) for c in text))


def without_middle(text: str) -> str:
    """Return ``text``, or its two ends where it has more than :data:`MOST` characters: the way out
    comes last."""
    if len(text) <= MOST:
        return text
    return f"{text[:_KEEP]} [{len(text) - 2 * _KEEP} characters left out] {text[-_KEEP:]}"


def _escape(character: str) -> str:
    return ascii(character)[1:-1]
