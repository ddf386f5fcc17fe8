"""Whether a figure grows: the slope of its course, with its error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from gemma4_runtime.enums import StrEnum

__all__ = ["BLOCKS", "WARM_UP", "Trend", "Verdict", "trend_at_rest", "trend_of"]

BLOCKS = 12
"""Parts of equal length whose medians the line is fitted to. Neighboring samples depend on each
other, so a fit to all of them would say that its error is far smaller than it is."""
WARM_UP = 1 / 3
"""Share of the run that is left out: allocators and caches fill."""
T = 3.169
"""Student's t for 99 % and the 10 degrees of freedom of 12 blocks: a soak looks at dozens of
figures."""


class Verdict(StrEnum):
    """``UNCLEAR``: the run was too short, or too disturbed, to say that it is flat."""

    FLAT = "flat"
    GROWS = "GROWS"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Trend:
    """``slope`` and ``error`` (half of the 99 % interval) per hour, ``level`` the median, all in the
    unit of the figure."""

    level: float
    slope: float
    error: float

    def verdict(self, allowed: float) -> Verdict:
        """Compare with what is ``allowed`` per hour: it grows when all of its interval is above
        that, and is flat when all of it is below."""
        if self.slope - self.error > allowed:
            return Verdict.GROWS
        return Verdict.FLAT if self.slope + self.error <= allowed else Verdict.UNCLEAR


def trend_of(samples: Sequence[tuple[float, float]]) -> Trend:
    """Fit a line to ``samples`` of seconds, in ascending order, and values, after the warm-up, by
    the medians of the blocks. ValueError if a block has no sample."""
    begin, end = _measured(samples)
    width = (end - begin) / BLOCKS
    blocks: list[list[float]] = [[] for _ in range(BLOCKS)]
    for at, value in samples:
        if at >= begin:
            blocks[min(int((at - begin) / width), BLOCKS - 1)].append(value)
    if not all(blocks):
        raise ValueError(f"{len(samples)} samples in {end - begin:.0f} s leave a block empty")
    middles = [begin + (number + 0.5) * width for number in range(BLOCKS)]
    return _fitted(middles, [median(block) for block in blocks])


def trend_at_rest(samples: Sequence[tuple[float, float]]) -> Trend:
    """Fit a line to samples that do not depend on each other, after the warm-up. ValueError if
    there are fewer than 12, for which the error would be larger than said."""
    begin, _ = _measured(samples)
    kept = [(at, value) for at, value in samples if at >= begin]
    if len(kept) < BLOCKS:
        raise ValueError(f"{len(kept)} samples at rest; {BLOCKS} are needed")
    return _fitted([at for at, _ in kept], [value for _, value in kept])


def _measured(samples: Sequence[tuple[float, float]]) -> tuple[float, float]:
    begin, end = samples[0][0], samples[-1][0]
    return begin + (end - begin) * WARM_UP, end


def _fitted(seconds: Sequence[float], values: Sequence[float]) -> Trend:
    hours = [at / 3600 for at in seconds]
    middle, level = fmean(hours), fmean(values)
    spread = sum((h - middle) ** 2 for h in hours)
    slope = sum((h - middle) * (v - level) for h, v in zip(hours, values, strict=True)) / spread
    rest = sum((v - level - slope * (h - middle)) ** 2 for h, v in zip(hours, values, strict=True))
    return Trend(median(values), slope, T * math.sqrt(rest / (len(values) - 2) / spread))
