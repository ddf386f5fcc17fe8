"""Percentiles of a simulation: numpy's, and how far those of a sample can be off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from gemma4_plan.simulate.outcome import Percentiles
from gemma4_plan.simulate.tally import Distributions


def of(values: npt.NDArray[np.float64]) -> Percentiles:
    found = Distributions(1)
    found.add(np.zeros(len(values), dtype=np.int64), values)
    return found.all()


@pytest.mark.parametrize("count", [1, 2, 19, 20, 100, 5000])
def test_they_are_those_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).lognormal(-3, 1, count)
    found = of(values)
    for name, share in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)):
        assert getattr(found, name) == pytest.approx(np.percentile(values, share), rel=0.0021)


def test_nineteen_of_twenty_samples_hold_the_true_p95() -> None:
    rng = np.random.default_rng(7)
    true = float(np.exp(-3 + 1.6448536))
    held = 0
    for _ in range(400):
        found = of(rng.lognormal(-3, 1, 300))
        held += found.p95_low <= true <= found.p95_high
    assert 0.91 <= held / 400 <= 0.98


def test_few_values_say_little() -> None:
    found = of(np.array([0.01, 0.02, 0.5]))
    assert found.p95_low == pytest.approx(0.0969, rel=0.01)
    assert found.p95_high == pytest.approx(0.5, rel=0.01)
    empty = of(np.array([]))
    assert np.isnan(empty.p95_low)
