"""Lengths in tokens, fixed or drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gemma4_load.errors import OptionError

__all__ = ["MOST_SIGMA", "MOST_TOKENS", "Length", "parse_length"]

_FORMS = "N, uniform:LOW:HIGH, normal:MEAN:STD or lognormal:MEDIAN:SIGMA"
_MOST_SHOWN = 100
"""Characters of a wrong value that are shown."""
MOST_TOKENS = 10_000_000
"""Tokens of a length; more than any context."""
MOST_SIGMA = 10.0
"""Of the logarithm of a length: one of six is then above 20,000 times the median."""
_KINDS = ("fixed", "uniform", "normal", "lognormal")


@dataclass(frozen=True, slots=True)
class Length:
    """``kind`` is fixed (``a``), uniform (``a`` to ``b``, both included), normal (mean ``a``,
    standard deviation ``b``) or lognormal (median ``a``, ``b`` the sigma of the logarithm)."""

    kind: str
    a: float
    b: float = 0.0

    def __str__(self) -> str:
        """Return the text that the command line takes."""
        if self.kind == "fixed":
            return f"{self.a:g}"
        return f"{self.kind}:{self.a:g}:{self.b:g}"

    def draw(self, rng: np.random.Generator) -> int:
        """Draw a length; it is at least 1."""
        if self.kind == "uniform":
            return int(rng.integers(int(self.a), int(self.b) + 1))
        if self.kind == "normal":
            return max(1, round(rng.normal(self.a, self.b)))
        if self.kind == "lognormal":
            return max(1, round(self.a * math.exp(rng.normal(0.0, self.b))))
        return int(self.a)


def parse_length(option: str, text: str) -> Length:
    """Parse ``text`` as the command line has it. Raises :class:`OptionError`, which names
    ``option``."""

    def refuse(why: str) -> OptionError:
        shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
        return OptionError(f"{option} {shown}: {why}; use {_FORMS}")

    kind, *rest = text.split(":") if ":" in text else ("fixed", text)
    if kind not in _KINDS:
        raise refuse(f"{kind[:_MOST_SHOWN]!r} is no distribution")
    try:
        values = [float(value) for value in rest]
    except ValueError:
        raise refuse("not a number") from None
    if len(values) != (1 if kind == "fixed" else 2):
        raise refuse("wrong count of numbers")
    if not all(map(math.isfinite, values)):
        raise refuse("must be finite")
    if values[0] < 1:
        raise refuse("must be at least 1 token")
    if values[0] > MOST_TOKENS or (kind != "lognormal" and values[-1] > MOST_TOKENS):
        raise refuse(f"must be at most {MOST_TOKENS:,} tokens")
    if kind == "uniform" and values[1] < values[0]:
        raise refuse("HIGH is below LOW")
    if values[-1] < 0:
        raise refuse("must not be negative")
    if kind == "lognormal" and values[1] > MOST_SIGMA:
        raise refuse(f"a sigma of {values[1]:g} draws anything; give at most {MOST_SIGMA:g}")
    return Length(kind, *values)
