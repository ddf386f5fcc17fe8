"""What `make bench-meter` reads from a run of `gemma4 load`, and when it says that it is not exact."""

from __future__ import annotations

from typing import Any

import meter_figures as meter
import pytest

PACE = meter.Pace(prefill=1000.0, decode=10.0)


def row(level: str = "4 users", **values: Any) -> dict[str, str]:
    made = {"level": level, "index": "0", "measured": "1", "status": "OK", "error": ""}
    times = {"prompt_tokens": "100.000000", "ttft": "0.200000", "itl": "0.100000"}
    return made | times | values


def test_a_request_is_compared_with_its_own_prompt() -> None:
    """100 tokens at 1,000/s and a step of 100 ms: 200 ms; 300 tokens: 400 ms."""
    rows = [row(ttft="0.203"), row(prompt_tokens="300", ttft="0.401", itl="0.102")]
    errors = meter.errors_of(rows, PACE)["4 users"]
    assert errors["ttft"].errors == pytest.approx((0.003, 0.001))
    assert errors["ttft"].true == pytest.approx(0.3)
    assert errors["ttft"].mean == pytest.approx(0.002)
    assert errors["itl"].errors == pytest.approx((0.0, 0.002))
    assert errors["itl"].percentile(50) == pytest.approx(0.001)


def test_the_warm_up_does_not_count_and_levels_are_apart() -> None:
    rows = [row(ttft="9", measured="0"), row(), row("8 users", ttft="0.3")]
    found = meter.errors_of(rows, PACE)
    assert [len(metrics["ttft"].errors) for metrics in found.values()] == [1, 1]
    assert found["8 users"]["ttft"].mean == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"ttft": "0.2049"}, []),  # 2 % of 200 ms + 1 ms are 5 ms
        ({"ttft": "0.2051"}, ["ttft mean is +5.10 ms off", "ttft p50 is +5.10 ms off"]),
        ({"ttft": "0.1949"}, ["ttft mean is -5.10 ms off", "ttft p50 is -5.10 ms off"]),
        ({"itl": "0.1029"}, []),
        ({"itl": "0.1031"}, ["itl mean is +3.10 ms off", "itl p50 is +3.10 ms off"]),
    ],
)
def test_what_is_too_far_off_is_said(values: dict[str, str], says: list[str]) -> None:
    lines = meter.wrong(meter.errors_of([row(**values)], PACE))
    assert len(lines) == len(says)
    assert all(line.startswith(f"4 users: {what}") for line, what in zip(lines, says, strict=True))


def test_a_failed_request_says_nothing_about_the_meter() -> None:
    with pytest.raises(ValueError, match="request 7 of 4 users: server is gone"):
        meter.errors_of([row(index="7", status="UNAVAILABLE", error="server is gone")], PACE)
