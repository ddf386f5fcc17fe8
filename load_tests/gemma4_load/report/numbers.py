"""Figures for people."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gemma4_load.metrics import Unit

__all__ = ["enough", "needed", "quantity", "show", "time_unit"]

_SECONDS_FROM = 10.0
"""Seconds from which a column of times is in seconds and not in milliseconds."""
_SMALLEST = 0.01
"""What a figure of two decimals can show."""


def show(value: float | None, unit: Unit | str) -> str:
    """Show three significant digits or more, without the unit; seconds as milliseconds, a share as
    a percentage. ``-`` stands for what is not defined."""
    if value is None or not math.isfinite(value):
        return "-"
    if unit == "s":
        value *= 1000
    elif unit == "share":
        return f"{value:.1%}" if value in (0, 1) or 0.0005 <= value < 0.9995 else _edge(value)
    if 0 < abs(value) < _SMALLEST:
        return f"<{_SMALLEST}"
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


def _edge(share: float) -> str:
    """Return a share that would round to none or to all: neither is true."""
    return "<0.1%" if share < 0.5 else ">99.9%"


def time_unit(values: Iterable[float | None]) -> str:
    """Return the unit, ``ms`` or ``s``, in which times (seconds) that stand together are read."""
    longest = max((value for value in values if value is not None), default=0.0)
    return "s" if longest >= _SECONDS_FROM else "ms"


def quantity(value: float | None, unit: Unit | str) -> str:
    """Show a figure with its unit, as ``85.0 ms``, ``12.3 s``, ``5.0%`` or ``1,204 tokens/s``."""
    if value is None or not math.isfinite(value):
        return "-"
    if unit == "share":
        return show(value, unit)
    if unit == "s":
        in_seconds = time_unit([value]) == "s"
        return f"{show(value, '')} s" if in_seconds else f"{show(value, 's')} ms"
    return f"{show(value, unit)} {unit}".rstrip()


def needed(percentile: int) -> int:
    """Return how many values a percentile needs, so that at least one lies beyond it."""
    return math.ceil(100 / (100 - percentile)) if percentile > 50 else 1


def enough(key: str, count: int) -> bool:
    """Return True when ``count`` values are enough for ``key``, such as ``p99``; other keys (mean,
    max) need one."""
    return count >= (needed(int(key[1:])) if key[:1] == "p" and key[1:].isdecimal() else 1)
