"""How far the times in ``requests.csv`` are from those of an engine of known pace. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Errors", "Pace", "errors_of", "wrong"]

SHARE, FIXED_S = 0.02, 0.001
"""The target: 2 % + 1 ms."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Of the synthetic engine: prompt tokens/s before the first token, then tokens/s."""

    prefill: float
    decode: float

    def ttft(self, prompt_tokens: float) -> float:
        """Return the seconds: the prompt, then one step."""
        return prompt_tokens / self.prefill + 1 / self.decode

    @property
    def itl(self) -> float:
        return 1 / self.decode


@dataclass(frozen=True, slots=True)
class Errors:
    """Measured less true, seconds: an entry for each request, and the mean of the true times."""

    true: float
    errors: tuple[float, ...]

    @property
    def bound(self) -> float:
        return SHARE * self.true + FIXED_S

    @property
    def mean(self) -> float:
        return float(np.mean(self.errors))

    def percentile(self, q: float) -> float:
        return float(np.percentile(self.errors, q))


def errors_of(rows: Iterable[Mapping[str, str]], pace: Pace) -> dict[str, dict[str, Errors]]:
    """Return the errors by level, then ``ttft`` and ``itl``, of the answers inside the measured
    window. Raises :class:`ValueError` for a request that failed: its times say nothing."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        if row["measured"] != "1":
            continue
        if row["status"] != "OK":
            raise ValueError(f"request {row['index']} of {row['level']}: {row['error']}")
        level = found.setdefault(row["level"], {"ttft": [], "itl": []})
        true = pace.ttft(float(row["prompt_tokens"]))
        level["ttft"].append((true, float(row["ttft"]) - true))
        level["itl"].append((pace.itl, float(row["itl"]) - pace.itl))
    return {
        label: {
            name: Errors(float(np.mean([t for t, _ in pairs])), tuple(e for _, e in pairs))
            for name, pairs in metrics.items()
        }
        for label, metrics in found.items()
    }


def wrong(found: Mapping[str, Mapping[str, Errors]]) -> list[str]:
    """Return a line for each mean or median that is further from the truth than the target."""
    lines = []
    for label, metrics in found.items():
        for name, errors in metrics.items():
            for what, value in (("mean", errors.mean), ("p50", errors.percentile(50))):
                if abs(value) >= errors.bound:
                    lines.append(
                        f"{label}: {name} {what} is {value * 1000:+.2f} ms off, "
                        f"the target is {errors.bound * 1000:.2f}"
                    )
    return lines
