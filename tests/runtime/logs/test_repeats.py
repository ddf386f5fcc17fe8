"""A flood of equal errors gives a few lines and a count."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from typing import Any

import pytest
from gemma4_gateway.access_log import Log
from gemma4_gateway.record import Record
from gemma4_runtime.logs.repeats import REPEATED, Repeats
from gemma4_serve.logs import LogPump

FLOOD = 5000
FEW, MOST = 10, 200


def repeats(window_s: float = 60.0) -> tuple[Repeats, list[tuple[str, int]], threading.Event]:
    told: list[tuple[str, int]] = []
    ended = threading.Event()

    def report(event: str, times: int) -> None:
        told.append((event, times))
        ended.set()

    return Repeats(report, window_s=window_s), told, ended


def admitted(limit: Repeats, texts: Any, event: str = "fault", level: str = "error") -> int:
    return sum(limit.admit(event, level, {"error": text, "request_id": text}) for text in texts)


@pytest.mark.parametrize(
    "text",
    ["gone", "port {0} is closed", "0x{0:x} at {0}.5 s", "{0:032x} broke", "retry in {0}.25 s"],
)
def test_numbers_and_ids_make_no_difference(text: str) -> None:
    limit, told, _ = repeats()
    assert admitted(limit, (text.format(n) for n in range(FLOOD))) == FEW
    limit.flush()
    limit.flush()
    assert told == [("fault", FLOOD - FEW)]


def test_other_words_do_and_are_bounded_too() -> None:
    limit, told, _ = repeats()
    words = ["".join("abcdefghij"[int(d)] for d in str(n)) for n in range(FLOOD)]
    assert admitted(limit, words) == MOST
    assert admitted(limit, ["another event"], event="step_failed") == 1
    limit.flush()
    assert told == [("fault", FLOOD - MOST)]


def test_news_and_requests_are_always_written() -> None:
    limit, told, _ = repeats()
    assert admitted(limit, ["x"] * FLOOD, level="info") == FLOOD
    assert admitted(limit, ["x"] * FLOOD, event="request") == FLOOD
    limit.flush()
    assert not told


def test_the_count_comes_by_itself_and_then_lines_again() -> None:
    limit, told, ended = repeats(window_s=0.2)
    assert admitted(limit, ["x"] * 50) == FEW
    assert ended.wait(10)
    assert told == [("fault", 40)]
    assert admitted(limit, ["x"] * 50) == FEW


def test_from_many_threads_nothing_is_lost() -> None:
    limit, told, _ = repeats()
    written: list[int] = []
    threads = [
        threading.Thread(target=lambda: written.append(admitted(limit, ["x"] * 500)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limit.flush()
    assert sum(written) == FEW and told == [("fault", 8 * 500 - FEW)]


def test_of_a_model_or_tool() -> None:
    """A process of its own, which counts what it left out before it ends."""
    code = (
        "from gemma4_runtime.logs.events import log_event\n"
        f"for n in range({FLOOD}): log_event('step_failed', level='error', error=f'no {{n}}', key='k')\n"
        "log_event('request', level='warning', status='INTERNAL')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == [*["step_failed"] * FEW, "request", REPEATED]
    assert (lines[-1]["of"], lines[-1]["times"]) == ("step_failed", FLOOD - FEW)


def test_of_the_gateway() -> None:
    out = io.StringIO()
    log = Log("json", out)
    for number in range(FLOOD):
        log.event(
            "log", level="warning", logger="uvicorn.error", message=f"Invalid request {number}"
        )
        if number < 30:
            log.request(Record(f"r{number}", "GET", "/v1/models", status=500))
    log.close()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert sum(line["event"] == "log" for line in lines) == FEW
    assert sum(line["event"] == "request" for line in lines) == 30
    assert (lines[-1]["event"], lines[-1]["of"], lines[-1]["times"]) == (
        REPEATED, "log", FLOOD - FEW,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["json", "text"])
def test_of_triton_itself(form: Any) -> None:
    lines: list[str] = []
    pump = LogPump(form, verbose=False, write=lines.append)
    for number in range(300):
        pump.line(f"E1129 20:05:41.{number:06d} 12 http_server.cc:642] refused {number}")
    pump.line('{"time": "2026-11-29T20:05:41.000Z", "level": "error", "event": "ours"}')
    assert len(lines) == FEW + 1
