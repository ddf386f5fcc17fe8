"""The distribution of a metric's values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["QUANTILES", "Distribution", "distribution"]

QUANTILES = tuple(i / 200 for i in range(201))
"""Where a distribution is kept for the plots: every half percent."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """In the unit of the metric; percentiles interpolate linearly between two values."""

    count: int
    mean: float
    std: float
    min: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    quantiles: list[float]


def distribution(values: Sequence[float]) -> Distribution | None:
    """Return the distribution; None without values. ``std`` is that of the population."""
    if not len(values):
        return None
    data = np.asarray(values, dtype=np.float64)
    p50, p90, p95, p99 = np.percentile(data, (50, 90, 95, 99)).tolist()
    return Distribution(
        count=len(data),
        mean=float(data.mean()),
        std=float(data.std()),
        min=float(data.min()),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        max=float(data.max()),
        quantiles=np.quantile(data, QUANTILES).tolist(),
    )
