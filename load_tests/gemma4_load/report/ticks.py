"""The ticks of an axis."""

from __future__ import annotations

import math

__all__ = ["ticks"]


def ticks(highest: float, count: int = 5) -> list[float]:
    """Return about ``count`` round values from 0 to at least ``highest``: multiples of 1, 2 or 5
    times a power of ten. Without a positive, finite ``highest`` they are 0 and 1."""
    if not (math.isfinite(highest) and highest > 1e-9):
        return [0.0, 1.0]
    rough = highest / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [i * step for i in range(math.ceil(highest / step - 1e-9) + 1)]
