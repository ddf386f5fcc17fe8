"""The page stands alone, is small, escapes, and never shows an absurd figure."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma4_load.drive.level import Level
from gemma4_load.load_plan import parse_slo
from gemma4_load.metrics import REQUEST_METRICS, RUN_METRICS
from gemma4_load.record import Record
from gemma4_load.report.missing import WITHOUT, missing
from gemma4_load.report.page import page
from gemma4_load.report.summary import summarize
from gemma4_testing.cases.load_records import finished, record
from hypothesis import given, settings
from hypothesis import strategies as st

VOID = {"meta", "br", "link", "hr"}


class Tags(HTMLParser):
    """Fails where a tag is not closed in its turn, or the page asks for something else."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "link", "iframe")
        assert not {"src", "href", "onclick", "onload"} & {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def report_of(*levels: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "tool": "gemma4 load", "url": "127.0.0.1:8001", "started": "2026-01-02T03:04:05+00:00",
        "server": {"model": "m", "runtime": "llama_cpp", "precision": "q4_0"}, "seed": 0,
        "workload": {"kind": "lengths", "prompt": "uniform:1:9", "output": "normal:8:2"},
        "client": {"processor": "P", "cores": 2, "memory": 2**34}, "version": "1",
        "slos": {}, "levels": list(levels), "complete": True,
    } | more  # fmt: skip


def level(records: list[Record], *, users: int = 2, slos: bool = False, **more: Any) -> Any:
    result = finished(records, level=Level(concurrency=users), **more)
    bounds = [parse_slo("ttft=500ms")] if slos else []
    return summarize(result, bounds, max_client_lag=0.025, server={})


def steady(count: int, *, seconds: float, seed: int = 0) -> list[Record]:
    random = np.random.default_rng(seed)
    found = []
    for index in range(count):
        due = seconds * index / count
        arrivals = (due + 0.2 + 0.02 * np.arange(20) * random.normal(1, 0.05)).tolist()
        found.append(
            record(index, scheduled=due, sent=due, end=arrivals[-1], arrivals=arrivals,
                   tokens=[1.0] * 20, output_tokens=20)
        )  # fmt: skip
    return found


def visible(html: str) -> str:
    """The text that a reader sees, with that of the mouse."""
    body = html.partition("<body>")[2]
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)))


def check(html: str) -> str:
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    text = visible(html)
    assert not re.search(r"\b(nan|inf|infinity|none|null)\b", text, re.IGNORECASE), text
    assert "e+" not in html.partition("<body>")[2]
    return text


def test_a_run_of_ten_levels_of_ten_minutes_is_below_300_kb() -> None:
    levels = [
        level(steady(300, seconds=600, seed=users), users=users, slos=True, seconds=600.0)
        for users in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    ]
    html = page(report_of(*levels, slos={"ttft": 0.5}))
    text = check(html)
    assert len(html.encode()) < 300_000, len(html.encode())
    assert "Each point is the mean of" in text
    for title in ("Time to first token by load", "Goodput by load", "End-to-end latency, cumul"):
        assert title in text


def test_what_comes_from_a_server_is_escaped() -> None:
    evil = "<script>alert(1)</script>\"'&"
    failed = record(1, status="INTERNAL", error=evil, arrivals=[], tokens=[])
    found = level([record(), failed])
    found["server"] = {"counters": {evil: 1.0}, "gauges": {}}
    found["label"] = found["stopped"] = evil
    html = page(report_of(found, url=evil, server={"model": evil}, started=evil))
    check(html)
    assert "<script" not in html


FIRST: dict[str, tuple[dict[str, Any], str, str]] = {
    "good": ({}, "good", "With 2 users at once: "),
    "failed": ({"failed": 3}, "warn", "3 of 43 requests failed (7.0%)"),
    "late client": ({"lag": 0.3}, "bad", "does not show how fast the server is: this client saw"),
    "most failed": ({"failed": 60}, "bad", "60 of 100 requests failed (60.0%): the times are"),
    "stopped": ({"stopped": "the server stopped answering at 3 s: gone"}, "bad", "was stopped in"),
    "SLOs met": ({"slos": True}, "good", "100% of the requests met the SLOs"),
    "SLOs missed": ({"slos": True, "failed": 9}, "warn", "No load met the SLOs for 95%"),
    "nothing": ({"whole": 0}, "bad", "does not show how fast the server is: no request of the w"),
}


@pytest.mark.parametrize("name", FIRST)
def test_the_verdict_comes_first(name: str) -> None:
    what, kind, said = FIRST[name]
    usual: dict[str, Any] = {
        "whole": 40, "failed": 0, "lag": 0.001, "slos": False, "stopped": "",
    }  # fmt: skip
    what = usual | what
    records = steady(what["whole"], seconds=10) + [
        record(100 + at, status="UNAVAILABLE", error="full", arrivals=[], tokens=[])
        for at in range(what["failed"])
    ]
    found = level(records, slos=what["slos"], lag=what["lag"])
    found |= {"stopped": what["stopped"], "valid": found["valid"] and not what["stopped"]}
    html = page(report_of(found, slos={"ttft": 0.5} if what["slos"] else {}))
    check(html)
    verdict = re.search(r'<p class="verdict (\w+)">(.*?)</p>', html)
    assert verdict is not None
    assert verdict[1] == kind
    assert said in verdict[2]


def test_a_search_says_what_it_found() -> None:
    search = {"over": "concurrency", "attainment": 0.95, "runs": 1, "highest": 2.0}
    one = level(steady(40, seconds=10), slos=True)
    text = check(page(report_of(one, slos={"ttft": 0.5}, search=search)))
    assert "Up to 2 users at once, 95% of the requests met the SLOs" in text
    text = check(page(report_of(one, slos={"ttft": 0.5}, search=search | {"highest": None})))
    assert "Not even the lowest load met the SLOs" in text
    assert "Nothing was measured." in check(page(report_of()))


def test_who_ran_what_where() -> None:
    text = check(page(report_of(level(steady(40, seconds=10)))))
    for said in ("llama_cpp, q4_0", "P, 2 cores, 16 GiB", "1 to 9 (uniform) prompt tokens",
                 "8 ± 2 (normal) output tokens", "2 January 2026, 03:04 UTC", "Triton's gRPC"):  # fmt: skip
        assert said in text


def test_every_dash_has_its_reason() -> None:
    assert WITHOUT.keys() == REQUEST_METRICS.keys() | RUN_METRICS.keys()
    together = record(
        scheduled=0.0, output_tokens=2, arrivals=[2.0], tokens=[2.0], end=2.000002, queue=None
    )
    found = level([together], seconds=0.05)
    reasons = " ".join(missing(found, keys=("p50", "p90", "p99"), slos=False))
    for said in (
        "No inter-token latency, output tokens/s per user: no answer had two tokens",
        "queue time (server's): the server does not tell it",
        "less than 0.1 s were measured",
        "A percentile needs values beyond it (p90 10, p99 100); there are 1.",
    ):
        assert said in reasons
    text = check(page(report_of(found)))
    assert "500,000" not in text
    assert "the details say why" in text


@st.composite
def requests(draw: st.DrawFn) -> Record:
    """Any request: at once, in one piece, empty, failed, left, very slow."""
    times = st.sampled_from([0.0, 1e-9, 2e-6, 1e-3, 0.05, 1.0, 700.0])
    due, chunks = draw(st.sampled_from([0.0, 0.5, 3.0])), draw(st.integers(0, 4))
    at = due + draw(times)
    arrivals = []
    for _ in range(chunks):
        arrivals.append(at)
        at += draw(times)
    tokens = [float(draw(st.integers(0, 3))) for _ in arrivals]
    status = draw(st.sampled_from(["OK", "OK", "OK", "UNAVAILABLE"]))
    return record(
        draw(st.integers(0, 999)), scheduled=due, sent=due, end=at, arrivals=arrivals,
        tokens=tokens, output_tokens=int(sum(tokens)), prompt_tokens=draw(st.integers(0, 9)),
        status=status, left=status == "OK" and draw(st.booleans()),
        queue=draw(st.sampled_from([None, 0.0, 1.0])),
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.lists(requests(), max_size=12), st.sampled_from([1e-9, 0.01, 1.0, 9.0])),
             min_size=1, max_size=3),
    st.booleans(),
)  # fmt: skip
def test_no_set_of_requests_gives_an_absurd_figure(
    levels: list[tuple[list[Record], float]], slos: bool
) -> None:
    """A rate is of what was there: at most the requests and tokens of a tenth of a second."""
    made = [
        level(records, users=4**at, slos=slos, seconds=seconds)
        for at, (records, seconds) in enumerate(levels)
    ]
    text = check(page(report_of(*made, slos={"ttft": 0.5} if slos else {})))
    for number in re.findall(r"(?<![-\d])([\d,]+(?:\.\d+)?)(?= (?:tokens|requests)/s)", text):
        assert float(number.replace(",", "")) <= 10_000
    for number in re.findall(r"([\d,.]+)%", text):
        assert float(number.replace(",", "")) <= 100


def test_an_old_report_can_be_drawn_again(tmp_path: Path) -> None:
    """Reports of earlier versions tell less of the client and of the server."""
    old = report_of(level([record()]), client={"python": "3.11", "machine": "x86_64"}, server={})
    assert "x86_64" in check(page(old))
    (tmp_path / "report.html").write_text(page(old), encoding="utf-8")
