"""What a soak calls flat: lines with noise, whose slope is known."""

from __future__ import annotations

from random import Random

import pytest
from gemma4_testing.endurance.trend import BLOCKS, WARM_UP, Verdict, trend_at_rest, trend_of

SECONDS = 1800
HOUR = 3600


def course(per_hour: float, noise: float, *, seed: int = 1) -> list[tuple[float, float]]:
    random = Random(seed)
    return [
        (at, 100 + per_hour * at / HOUR + random.gauss(0, noise)) for at in range(0, SECONDS, 5)
    ]


def test_a_straight_line_has_its_slope_and_no_error() -> None:
    trend = trend_of(course(40, 0))
    assert trend.slope == pytest.approx(40, rel=0.05)
    assert trend.error < 1
    assert trend.level == pytest.approx(100 + 40 * SECONDS * (1 + WARM_UP) / 2 / HOUR, rel=0.01)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("per_hour", "verdict"), [(0, Verdict.FLAT), (60, Verdict.GROWS),
                                                   (-60, Verdict.FLAT)])  # fmt: skip
def test_noise_hides_nothing(per_hour: float, verdict: Verdict, seed: int) -> None:
    assert trend_of(course(per_hour, 3, seed=seed)).verdict(16) is verdict


def test_noise_that_is_too_strong_is_no_verdict() -> None:
    assert trend_of(course(0, 300)).verdict(16) in (Verdict.UNCLEAR, Verdict.FLAT)
    found = {trend_of(course(0, 300, seed=n)).verdict(16) for n in range(20)}
    assert Verdict.UNCLEAR in found


def test_most_intervals_hold_the_slope() -> None:
    trends = [trend_of(course(30, 10, seed=n)) for n in range(200)]
    inside = sum(abs(t.slope - 30) <= t.error for t in trends)
    assert 194 <= inside <= 200


def test_the_warm_up_does_not_count() -> None:
    filling = [(at, min(at, SECONDS * 0.3)) for at in range(0, SECONDS, 5)]
    assert trend_of(filling).slope == 0


def test_counts_at_rest() -> None:
    random = Random(2)
    still = [(at, 50 + random.randrange(2)) for at in range(0, SECONDS, 60)]
    leak = [(at, value + at // 60) for at, value in still]
    assert trend_at_rest(still).verdict(8) is Verdict.FLAT
    assert trend_at_rest(leak).verdict(8) is Verdict.GROWS
    with pytest.raises(ValueError, match="5 samples at rest; 12 are needed"):
        trend_at_rest(still[:7])


def test_too_few_samples() -> None:
    with pytest.raises(ValueError, match="5 samples in 1200 s leave a block empty"):
        trend_of([(at, 1) for at in (0, 450, 900, 1350, 1800)])
    assert trend_of([(at, 1) for at in range(2 * BLOCKS)]).slope == 0
