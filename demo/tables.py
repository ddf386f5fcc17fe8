"""Compact text -> lists and dicts."""

from __future__ import annotations

__all__ = ["listed", "table"]


def listed(text: str, separator: str = "|") -> list[str]:
    """Items of ``text``, surrounding blanks and line breaks removed."""
    return [item.strip() for item in text.replace("\n", " ").split(separator)]


def table(text: str) -> dict[str, str]:
    """``key:value;key:value`` -> dict."""
    pairs = (pair.partition(":") for pair in listed(text, ";"))
    return {key: value for key, _, value in pairs}
