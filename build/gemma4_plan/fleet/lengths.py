"""What a distribution of lengths means for a plan."""

from __future__ import annotations

import math

from gemma4_load.workloads.lengths import Length

from gemma4_plan.errors import BadQuestionError

__all__ = ["longest", "mean"]

_MOST_SIGMA = 3.0
"""Of a lognormal length: its mean is then 90 times its median."""

_NORMAL = 3.5
"""Standard deviations above the mean beyond which one of 4,300 draws lies."""


def mean(length: Length) -> float:
    """Return the mean, in tokens."""
    if length.kind == "uniform":
        return (length.a + length.b) / 2
    if length.kind == "lognormal":
        if length.b > _MOST_SIGMA:
            raise BadQuestionError(
                f"{length}: a sigma of {length.b:g} has no mean that a plan could use; give at "
                f"most {_MOST_SIGMA:g}, such as 0.8"
            )
        return length.a * math.exp(length.b**2 / 2)
    return length.a


def longest(length: Length) -> int:
    """Return the tokens that all draws keep to, but one of thousands where there is no limit."""
    if length.kind == "uniform":
        return int(length.b)
    if length.kind == "normal":
        return math.ceil(length.a + _NORMAL * length.b)
    if length.kind == "lognormal":
        mean(length)  # checks it
        return math.ceil(length.a * math.exp(_NORMAL * length.b))
    return int(length.a)
