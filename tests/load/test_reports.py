"""Files, the page, comparisons, and when a run is not valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma4_load.drive.arrivals import parse_rate
from gemma4_load.drive.level import Level
from gemma4_load.errors import OptionError, ResultsError
from gemma4_load.record import Record
from gemma4_load.report.compare import compare
from gemma4_load.report.files import Results, read_report, read_requests
from gemma4_load.report.page import page
from gemma4_load.report.summary import summarize
from gemma4_load.server_metrics import parse
from gemma4_testing.cases.load_records import finished, record, report_folder


def many(scale: float = 1.0, *, seed: int = 0, count: int = 120) -> list[Record]:
    """Answers of 20 tokens whose times vary by 5 %, slower by ``scale``."""
    random = np.random.default_rng(seed)
    records = []
    for index in range(count):
        due, slow = index * 0.15, scale * random.normal(1, 0.05)
        arrivals = [due + slow * (0.1 + 0.02 * i) for i in range(20)]
        records.append(
            record(index, scheduled=due, sent=due, end=arrivals[-1], arrivals=arrivals,
                   tokens=[1] * 20, output_tokens=20)
        )  # fmt: skip
    return records


def test_summary_is_json_and_says_what_failed() -> None:
    records = [
        record(0),
        record(1, status="UNAVAILABLE", code="queue_full", error="full", arrivals=[], tokens=[]),
    ]
    found = summarize(finished(records), (), max_client_lag=0.025, server={})
    json.dumps(found, allow_nan=False)
    assert found["valid"]
    assert found["counts"] == {"sent": 2, "measured": 2, "whole": 1, "failed": 1, "left": 0}
    assert found["errors"] == {
        "UNAVAILABLE": {"count": 1, "codes": {"queue_full": 1}, "messages": {"full": 1}}
    }
    assert found["requests"]["ttft"]["p50"] == 1.0
    assert found["timeline"]["output_tokens"] == [0, 0, 3, 3, 0]
    assert found["timeline"]["in_flight"] == [0, 2, 2, 2, 0]


def test_a_client_that_lagged_says_so() -> None:
    late = summarize(finished([record()], lag=0.1), (), max_client_lag=0.025, server={})
    assert not late["valid"] and "saw chunks 100.0 ms late" in late["invalid_reasons"][0]
    open_loop = finished([record()], level=Level(seconds=5.0))
    sent_late = summarize(open_loop, (), max_client_lag=0.025, server={})
    assert "sent 250.0 ms late" in sent_late["invalid_reasons"][0]
    nothing = summarize(finished([]), (), max_client_lag=0.025, server={})
    assert nothing["invalid_reasons"] == [
        "no request of the window came to its end: all were sent in the warm-up; raise --duration, "
        "or lower --warmup"
    ]


def test_folder(tmp_path: Path) -> None:
    report_folder(tmp_path / "a", many())
    rows = read_requests(tmp_path / "a")
    assert len(rows) == 120
    assert float(rows[0]["ttft"]) > 0 and rows[0]["measured"] == "1"
    with pytest.raises(OptionError, match="is not empty"):
        Results(tmp_path / "a")
    Results(tmp_path / "a", force=True).close()
    with pytest.raises(OptionError, match="--out"):
        Results(tmp_path / "a" / "requests.csv" / "b")


def test_full_disk_keeps_what_there_is(tmp_path: Path) -> None:
    results = Results(tmp_path / "a")
    results.add("x", record(), warmup=0.0)
    kept = results._file
    results._file = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115
    results._csv.writer = __import__("csv").writer(results._file)
    with pytest.raises(ResultsError, match=r"No space left.*1 requests are kept in .*requests.csv"):
        results.add("x", record(1), warmup=0.0)
    kept.close()
    assert len(read_requests(tmp_path / "a")) == 1


def test_page_stands_alone(tmp_path: Path) -> None:
    folder = report_folder(tmp_path / "a", many())
    report = read_report(folder) | {
        "url": "<script>alert(1)</script>", "started": "now", "server": {"model": "m"}, "seed": 0,
        "workload": {"kind": "lengths"}, "slos": {},
    }  # fmt: skip
    html = page(report)
    assert "<script>alert(1)" not in html
    assert "Time to first token, cumulative" in html
    assert 'src="http' not in html
    assert len(html.encode()) < 100_000


def test_compare(tmp_path: Path) -> None:
    a = report_folder(tmp_path / "a", many(seed=1))
    same = compare(a, report_folder(tmp_path / "b", many(seed=2)), threshold=0.05)
    assert {item.verdict for item in same} == {"same"}
    slower = compare(a, report_folder(tmp_path / "c", many(1.3, seed=3)), threshold=0.05)
    worse = {item.metric for item in slower if item.verdict == "worse"}
    assert {"ttft p50", "ttft p99", "itl p50", "latency p50"} <= worse
    ttft = next(item for item in slower if item.metric == "ttft p50")
    assert ttft.low < 1.3 < ttft.high and ttft.ratio == pytest.approx(1.3, rel=0.05)
    faster = compare(a, report_folder(tmp_path / "d", many(0.7, seed=4)), threshold=0.05)
    assert "better" in {item.verdict for item in faster}
    assert all(item.verdict != "worse" for item in faster)


def test_compare_refuses(tmp_path: Path) -> None:
    a = report_folder(tmp_path / "a", many())
    other = report_folder(tmp_path / "b", many(), level=Level(concurrency=9))
    with pytest.raises(OptionError, match="no level in common"):
        compare(a, other, threshold=0.05)
    with pytest.raises(OptionError, match="not valid: this client saw chunks"):
        compare(a, report_folder(tmp_path / "c", many(), lag=0.2), threshold=0.05)
    with pytest.raises(OptionError, match="too few requests"):
        compare(a, report_folder(tmp_path / "d", many(count=3)), threshold=0.05)
    with pytest.raises(OptionError, match="No such file"):
        compare(a, tmp_path / "absent", threshold=0.05)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "report.json").write_text("{}")
    with pytest.raises(OptionError, match="is no report"):
        compare(a, tmp_path / "e", threshold=0.05)


def test_compare_asks_for_equal_workloads(tmp_path: Path) -> None:
    of = {"kind": "lengths", "prompt": "128", "output": "64"}
    a = report_folder(tmp_path / "a", many(seed=1), workload=of)
    b = report_folder(tmp_path / "b", many(seed=2), workload=of | {"output": "128"})
    with pytest.raises(OptionError, match=r"output is 64 in A and 128 in B.*--any-workload"):
        compare(a, b, threshold=0.05)
    assert compare(a, b, threshold=0.05, any_workload=True)
    rate: dict[str, Any] = {"rate": parse_rate("4"), "requests": 100}
    poisson = report_folder(tmp_path / "c", many(seed=1), level=Level(**rate))
    gamma = report_folder(
        tmp_path / "d", many(seed=2), level=Level(**rate, arrival="gamma", burstiness=0.5)
    )
    with pytest.raises(OptionError, match="arrival is poisson in A and gamma in B"):
        compare(poisson, gamma, threshold=0.05)


def test_prometheus_text() -> None:
    text = (
        "# TYPE nv_requests counter\nnv_requests{model=\"a\"} 3\n"
        "# TYPE busy gauge\nbusy 0.5\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 1\nh_count 2\n"
    )  # fmt: skip
    assert parse(text) == {
        'nv_requests_total{model="a"}': ("counter", 3.0),
        "busy": ("gauge", 0.5),
    }
