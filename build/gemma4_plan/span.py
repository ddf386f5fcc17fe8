"""A figure that is known only to lie between two others."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Span", "exactly"]


@dataclass(frozen=True, slots=True)
class Span:
    """From ``low`` to ``high``, both included, in the unit of the figure."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}")

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)

    def as_list(self) -> list[float]:
        """Return ``[low, high]`` for JSON."""
        return [self.low, self.high]


def exactly(value: float) -> Span:
    """Return the span of one value."""
    return Span(value, value)
