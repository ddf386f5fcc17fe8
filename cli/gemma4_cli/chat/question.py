"""What was typed or pasted, as a question. Pure."""

from __future__ import annotations

__all__ = ["QUOTES", "block_is_open", "question_of", "whole_text"]

QUOTES = '"""'
"""Begin and end a question of several lines where the terminal does not tell a paste."""


def block_is_open(text: str) -> bool:
    """Return whether Enter goes on with a block rather than sends it."""
    return text.lstrip().startswith(QUOTES) and text.count(QUOTES) % 2 == 1


def question_of(text: str) -> str:
    """Return the question: without line breaks at its beginning and spaces at its end, and without
    the quotation marks of a block. Its other lines stay as they are."""
    text = whole_text(text).strip("\n").rstrip()
    inner = text.strip()
    marked = inner.startswith(QUOTES) and inner.endswith(QUOTES) and len(inner) >= 2 * len(QUOTES)
    if marked and (inner.count(QUOTES) == 2 or inner.startswith(f"{QUOTES}\n")):
        return inner[len(QUOTES) : -len(QUOTES)].strip("\n").rstrip()
    return text


def whole_text(text: str) -> str:
    """Return ``text`` with U+FFFD for every byte that is no character in the terminal's encoding
    (Python reads such bytes as lone surrogates, which no request can carry), and with line breaks
    as ``\\n``."""
    text = text.encode("utf-8", "surrogateescape" if _escaped(text) else "replace").decode(
        "utf-8", "replace"
    )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _escaped(text: str) -> bool:
    """Return whether all lone surrogates of ``text`` stand for bytes (PEP 383)."""
    return all("\udc80" <= c <= "\udcff" for c in text if "\ud800" <= c <= "\udfff")
