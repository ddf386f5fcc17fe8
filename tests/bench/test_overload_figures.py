"""What `make bench-overload` says of the rows of a load test."""

from __future__ import annotations

import math

import pytest
from overload_figures import Overload, capacity_of, overload_of


def row(scheduled: float, end: float, status: str = "OK", code: str = "") -> dict[str, str]:
    return {"scheduled": str(scheduled), "sent": str(scheduled), "end": str(end),
            "status": status, "code": code}  # fmt: skip


def test_capacity_counts_whole_answers_that_ended_in_the_window() -> None:
    rows = [row(0, 0.9), row(0, 1.5), row(1, 2.5), row(2, 3.1), row(1, 2, "UNAVAILABLE")]
    assert capacity_of(rows, 1, 3) == 1.0


def test_overload() -> None:
    answers = [row(n / 10, n / 10 + 1) for n in range(10, 28)]
    refused = [row(1 + n / 100, 1 + n / 100 + 0.01, "UNAVAILABLE", "queue_full") for n in range(99)]
    found = overload_of([*answers, *refused, row(0.5, 9, "UNAVAILABLE")], 10.0, 1, 3)
    assert found.offered == (18 + 99) / 2
    assert found.goodput == 5.5  # those that ended by second 3
    assert found.share == 0.55
    assert len(found.refusals) == 99 and found.refusal(99) == pytest.approx(0.01)
    assert found.missed() == ["goodput 55% of capacity, less than 90%"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, ""),
        ({"goodput": 8.9}, "goodput 89%"),
        ({"capacity": 0.0}, "goodput 0%"),
        ({"refusals": [0.01] * 90 + [0.2] * 10}, "refusals p99 200 ms"),
        ({"refusals": []}, "refusals p99 nan"),
        ({"growth_mb": 20.0, "growth_error_mb": 2.0}, "memory grew by 20 MB"),
        ({"growth_mb": 20.0, "growth_error_mb": 15.0}, ""),
        ({"faults": {"INTERNAL x": 1}}, "faults"),
    ],
)
def test_each_target_can_be_missed(more: dict[str, object], words: str) -> None:
    fine: dict[str, object] = {
        "capacity": 10.0, "offered": 50.0, "goodput": 9.5, "refusals": [0.01] * 100,
    }  # fmt: skip
    found = Overload(**{**fine, **more}).missed()  # type: ignore[arg-type]
    assert len(found) == bool(words) and words in "".join(found)


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(Overload(1, 5, 1, []).refusal(50))
