"""Figures for people."""

from __future__ import annotations

__all__ = ["show"]


def show(value: float | None, unit: str) -> str:
    """Show three significant digits or more; seconds as milliseconds, a share as a percentage."""
    if value is None:
        return "-"
    if unit == "s":
        value *= 1000
    elif unit == "share":
        return f"{value:.1%}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
