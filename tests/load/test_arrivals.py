"""When an open loop sends."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest
from gemma4_load.drive.arrivals import Rate, arrivals, parse_rate
from gemma4_load.errors import OptionError
from hypothesis import given, settings
from hypothesis import strategies as st

rates = st.floats(0.5, 50)


def test_constant() -> None:
    assert list(arrivals(Rate(4, 4), 1.1, kind="constant")) == pytest.approx([0.25, 0.5, 0.75, 1.0])


@given(rates, rates, st.floats(1, 30), st.sampled_from(["constant", "poisson", "gamma"]))
@settings(max_examples=60, deadline=None)
def test_rise_within_the_run(begin: float, end: float, seconds: float, kind: str) -> None:
    times = list(islice(arrivals(Rate(begin, end), seconds, kind=kind, burstiness=0.5), 3000))
    assert all(a <= b for a, b in pairwise(times))
    assert all(0 < time < seconds for time in times)


@given(st.floats(0, 50), rates, st.floats(1, 30))
@settings(max_examples=60, deadline=None)
def test_a_ramp_has_its_mean_rate_and_its_middle(begin: float, end: float, seconds: float) -> None:
    times = list(arrivals(Rate(begin, end), seconds, kind="constant"))
    assert abs(len(times) - (begin + end) / 2 * seconds) <= 1
    first_half = sum(time < seconds / 2 for time in times)
    assert abs(first_half - (begin * 3 / 4 + end / 4) / 2 * seconds) <= 1


@pytest.mark.parametrize(
    ("kind", "burstiness", "variation"),
    [("constant", 1.0, 0.0), ("poisson", 1.0, 1.0), ("gamma", 0.25, 2.0), ("gamma", 4.0, 0.5)],
)
def test_variation_of_the_gaps(kind: str, burstiness: float, variation: float) -> None:
    times = list(arrivals(Rate(100, 100), 200, kind=kind, burstiness=burstiness, seed=3))
    gaps = np.diff(times)
    assert gaps.std() / gaps.mean() == pytest.approx(variation, abs=0.06)
    assert gaps.mean() == pytest.approx(0.01, rel=0.05)


def test_seeds() -> None:
    first, same, other = (
        list(arrivals(Rate(10, 10), 5, seed=seed)) for seed in (1, 1, 2)
    )  # fmt: skip
    assert first == same != other


def test_a_falling_ramp_to_zero_ends() -> None:
    times = list(arrivals(Rate(10, 0), 4, kind="constant"))
    assert 18 <= len(times) <= 20


@pytest.mark.parametrize(
    "text", ["0", "-1", "nan", "inf", "x", "1:2:3", "", "0:0", "-1:5", "1e9", "5:inf"]
)
def test_impossible_rates(text: str) -> None:
    with pytest.raises(OptionError, match=f"--rate {text}"):
        parse_rate(text)


def test_labels() -> None:
    assert parse_rate("2.5").label == "2.5/s"
    assert parse_rate("0:20").label == "0 to 20/s"
