"""What a terminal shows: whole words at any width, and no progress among the figures."""

from __future__ import annotations

import asyncio
import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
from gemma4_load import session
from gemma4_load.drive.level import Level
from gemma4_load.load_plan import Plan
from gemma4_load.record import Record
from gemma4_load.report.compare import Difference, compare
from gemma4_load.report.fitting import fitting, packed
from gemma4_load.report.summary import summarize
from gemma4_load.report.terminal import Terminal
from gemma4_load.targets.base import Seen
from gemma4_load.workloads.base import Ask, Reply
from gemma4_load.workloads.words import COMMON, Words
from gemma4_testing.cases.load_records import finished, record, report_folder
from rich.console import Console
from rich.table import Table

WIDTHS = (30, 40, 60, 79, 80, 120)


def printed(terminal: Terminal, width: int, *, tty: bool = True) -> io.StringIO:
    """Give ``terminal`` a console of ``width`` and return what it prints to."""
    out = io.StringIO()
    terminal._out = Console(
        file=out, width=width, force_terminal=tty, highlight=False, color_system=None
    )
    return out


def answers(count: int) -> list[Record]:
    """Of the first second, half a second each."""
    return [
        record(i, scheduled=i / count, sent=i / count, arrivals=[1.0, 1.5], tokens=[1.0, 1.0],
               end=1.6, output_tokens=2)
        for i in range(count)
    ]  # fmt: skip


def words_of(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_too_long_and_no_word_is_cut(width: int) -> None:
    records = [
        *answers(120),
        record(900, status="UNAVAILABLE", error="the server is full [of it]; ask again later"),
    ]
    found = summarize(finished(records, lag=0.3), (), max_client_lag=0.025, server={})
    terminal = Terminal()
    wide = printed(terminal, 500)
    terminal.level(found)
    all_words = set(words_of(wide.getvalue()))
    narrow = printed(terminal, width)
    terminal.level(found)
    text = narrow.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert set(words_of(text)) <= all_words
    assert "[of it]" in " ".join(words_of(text))
    assert "NOT VALID: this client saw chunks 300.0 ms late (p99)" in " ".join(words_of(text))


def test_a_pipe_gets_a_line_for_each_sentence() -> None:
    terminal = Terminal()
    out = printed(terminal, 40, tty=False)
    found = summarize(finished(answers(3), lag=0.3), (), max_client_lag=0.025, server={})
    terminal.level(found)
    assert "NOT VALID: this client saw chunks 300.0 ms late (p99)" in out.getvalue()
    assert "or allow more with --max-client-lag\n" in out.getvalue()
    assert "(p90 10, p95 20, p99 100); there are 3." in out.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_fits(width: int, tmp_path: Path) -> None:
    terminal = Terminal()
    out = printed(terminal, width)
    rows = [
        Difference("concurrency 16", "output_throughput", 1000.0, 900.0, 0.9, 0.88, 0.92, "worse"),
        Difference("concurrency 16", "ttft p99", 0.0, 0.2, math.nan, math.nan, math.nan, "-"),
    ]
    terminal.differences(rows)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    said = " ".join(words_of(text))
    assert "1,000 tokens/s" in said and "0.880 to 0.920" in said and "nan" not in said
    assert "No B / A where A is 0" in said


def test_nothing_is_divided_by_nothing(tmp_path: Path) -> None:
    """A has no time to first token at all, and tokens in one second of many."""
    flat = [
        record(i, scheduled=float(i), sent=float(i), arrivals=[float(i), i + 0.5],
               tokens=[0.0, 30.0 if i == 3 else 0.0], output_tokens=30, end=i + 0.6)
        for i in range(12)
    ]  # fmt: skip
    a = report_folder(tmp_path / "a", flat, seconds=12.0)
    b = report_folder(tmp_path / "b", answers(12) + flat[3:], seconds=12.0)
    found = {item.metric: item for item in compare(a, b, threshold=0.05)}
    for name in ("ttft p50", "ttft p99", "output_throughput"):
        assert found[name].verdict == "-" and not found[name].defined
    assert all(math.isfinite(item.ratio) for item in found.values() if item.defined)


def test_packed_and_fitting() -> None:
    assert packed(["ab cd", "ef", "a longer item"], 9) == "ab cd  ef\na longer item"
    assert packed([], 9) == ""
    console = Console(width=8, file=io.StringIO())
    rows = [["first", "1", "22"]]
    assert isinstance(fitting(Console(width=80), ("x", "a", "b"), rows), Table)
    assert fitting(console, ("x", "alpha", "beta"), rows) == "first\n  alpha 1\n  beta 22"


class Answering:
    """A target that answers at once."""

    url = "x"

    async def ask(self, ask: Ask, seen: Seen) -> Reply:
        await asyncio.sleep(0.001)
        seen(1)
        return Reply(text="a", prompt_tokens=1, output_tokens=1, finish_reason="length")

    async def ready(self) -> bool:
        return True

    async def words(self) -> Words:
        return Words(tuple(COMMON))

    async def describe(self) -> dict[str, Any]:
        return {"model": "m"}

    async def close(self) -> None:
        return


def test_progress_is_gone_before_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    async def show() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            order.append("progress gone")

    monkeypatch.setattr(session, "connect", lambda *_, **__: Answering())
    levels = tuple(Level(concurrency=users, requests=300) for users in (1, 2))
    ran = session.Session(
        Plan(url="x", out=tmp_path / "out", base=levels[0], levels=levels),
        watch=lambda run: asyncio.ensure_future(show()),
        told=lambda summary: order.append(re.sub(r"\d", "", summary["label"]).strip()),
    )
    asyncio.run(ran.run())
    assert order == ["progress gone", "concurrency"] * 2
