"""What `make bench-agreement` reads from three tools, and when it says that they disagree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import agreement_figures as agreement
import pytest
from gemma4_load.drive.level import Level
from gemma4_load.report.summary import summarize
from gemma4_testing.cases.load_records import finished, record

FIGURES = agreement.Figures(
    prompt_tokens=10, output_tokens=6, ttft_mean=1000, ttft_p50=1000, ttft_p90=1000, itl_mean=400,
    tokens_per_s=0.6, requests_per_s=0.1,
)  # fmt: skip


def report(records: Any, **more: Any) -> dict[str, Any]:
    level = Level(concurrency=1)
    return {
        "levels": [
            summarize(finished(records, level=level, **more), (), max_client_lag=0.025, server={})
        ]
    }


def test_gemma4_load() -> None:
    assert agreement.from_load(report([record()])) == FIGURES


def test_gemma4_load_with_failed_requests() -> None:
    failed = record(1, status="UNAVAILABLE", error="full", arrivals=[], tokens=[])
    with pytest.raises(agreement.NotComparableError, match="gemma4 load: UNAVAILABLE"):
        agreement.from_load(report([record(), failed]))


def test_gemma4_load_that_was_late() -> None:
    with pytest.raises(agreement.NotComparableError, match=r"saw chunks 100\.0 ms late"):
        agreement.from_load(report([record()], lag=0.1))


def aiperf(**more: Any) -> dict[str, Any]:
    def ms(mean: float, **quantiles: Any) -> dict[str, Any]:
        return {"unit": "ms", "avg": mean, **quantiles}

    return {
        "input_sequence_length": {"unit": "tokens", "avg": 10},
        "output_sequence_length": {"unit": "tokens", "avg": 6},
        "time_to_first_token": ms(1000, p50=1000, p90=1000),
        "inter_token_latency": ms(400),
        "output_token_throughput": {"unit": "tokens/sec", "avg": 0.6},
        "request_throughput": {"unit": "requests/sec", "avg": 0.1},
        **more,
    }


def test_aiperf() -> None:
    assert agreement.from_aiperf(aiperf()) == FIGURES


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"error_request_count": {"unit": "requests", "avg": 3.0}}, "AIPerf: 3 requests failed"),
        ({"inter_token_latency": {"unit": "ns", "avg": 4e8}}, "AIPerf: a time in ns"),
        ({"time_to_first_token": {"unit": "ms", "avg": 1}}, "AIPerf: no p50 in its export"),
    ],
)
def test_aiperf_without_comparable_figures(more: dict[str, Any], said: str) -> None:
    with pytest.raises(agreement.NotComparableError, match=said):
        agreement.from_aiperf(aiperf(**more))


TABLE = """
                                       count      mean       p50       p90       p95       p99       max
time to first token, ms                   44     1,000     1,000     1,000      99.4       100       101
inter-token latency, ms                   44       400      20.0      20.1      20.1      20.5      20.7
prompt tokens, tokens                     44      10.0      10.0      10.0      10.0      10.0      10.0
output tokens, tokens                     44      6.00      6.00      6.00      6.00      6.00      6.00

Type     Name       # reqs
"""
ENTRY = {
    "num_requests": 44,
    "num_failures": 0,
    "start_time": 100.0,
    "last_request_timestamp": 540.0,
}


def test_locust() -> None:
    found = agreement.from_locust(TABLE, [ENTRY])
    assert found == replace(FIGURES, tokens_per_s=found.tokens_per_s)
    assert found.tokens_per_s == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("table", "entries", "said"),
    [
        (TABLE, [], "no requests of one kind"),
        (TABLE, [ENTRY | {"num_requests": 0}], "no requests of one kind"),
        (TABLE, [ENTRY | {"num_failures": 2}], "locust: 2 requests failed"),
        (TABLE.replace("prompt", "other"), [ENTRY], "no row 'prompt tokens, tokens'"),
    ],
)
def test_locust_without_comparable_figures(table: str, entries: list[Any], said: str) -> None:
    with pytest.raises(agreement.NotComparableError, match=said):
        agreement.from_locust(table, entries)


def test_medians_are_of_each_figure() -> None:
    runs = [
        replace(FIGURES, ttft_mean=1, itl_mean=9),
        replace(FIGURES, ttft_mean=2, itl_mean=7),
        replace(FIGURES, ttft_mean=3, itl_mean=8),
    ]
    assert agreement.median(runs) == replace(FIGURES, ttft_mean=2, itl_mean=8)


def test_apart_is_what_lies_beyond_the_tolerance_on_either_side() -> None:
    found = {
        "gemma4 load": FIGURES,
        "AIPerf": replace(FIGURES, ttft_p90=1049, itl_mean=379),
        "locust": replace(FIGURES, requests_per_s=0.106),
    }
    assert agreement.apart(found, 0.05) == [
        "AIPerf, ITL mean, ms: 0.948 of gemma4 load",
        "locust, requests/s: 1.060 of gemma4 load",
    ]
    assert agreement.apart(found, 0.07) == []


def test_the_table_has_every_figure_and_its_ratio() -> None:
    found = {"gemma4 load": FIGURES, "AIPerf": replace(FIGURES, ttft_p50=1100)}
    lines = agreement.table("4 streams", found).splitlines()
    assert lines[0].split() == ["4", "streams", "gemma4", "load", "AIPerf", "ratio"]
    assert lines[4].split() == ["TTFT", "p50,", "ms", "1000.00", "1100.00", "1.100"]
    assert len(lines) == 1 + len(agreement.LABELS)
