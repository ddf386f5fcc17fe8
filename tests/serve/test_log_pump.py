"""What the server writes comes out in one form, and nothing of it is lost or obeyed."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from gemma4_runtime.logs.form import LogForm, set_log_form
from gemma4_serve.logs import LogPump
from gemma4_serve.native_lines import native_line
from hypothesis import given
from hypothesis import strategies as st

FORMS: list[LogForm] = ["json", "text", "color"]
RECORD = {
    "time": "2026-11-29T20:05:39.001Z",
    "level": "info",
    "event": "request",
    "request_id": "r1",
    "key": "6cd2c503f00d4aaa8f00000000000000",
    "status": "OK",
    "finish_reason": "stop",
    "prompt_tokens": 5,
    "completion_tokens": 10,
    "decode_s": 0.1,
    "ttft_s": 0.012,
}
TABLE = """\
I1129 20:08:12.140163 28 server.cc:674]\x20
+------------------+---------+--------+
| Model            | Version | Status |
+------------------+---------+--------+

"""
SGR = re.compile("\x1b\\[(?:0|1|2|31|32|33|1;31)m")


def pumped(form: LogForm, *lines: str, verbose: bool = True) -> list[str]:
    found: list[str] = []
    pump = LogPump(form, verbose=verbose, write=found.append)
    for line in lines:
        pump.line(line)
    return found


@pytest.fixture(autouse=True)
def form() -> Iterator[None]:
    yield
    set_log_form("json")


def test_json() -> None:
    pump_lines: list[str] = []
    pump = LogPump("json", verbose=False, write=pump_lines.append)
    pump.line('{"event":"request","request_id":"r"}')
    pump.line('I1124 13:01:19.991370 3005 metrics.cc:770] "Collecting CPU metrics"')
    pump.line("E1124 13:01:19.991243 3005 x.cc:1] \"failed to load 'engine': why\\n\\nAt:\\n x\"")
    pump.line("some library")
    first, second, third = map(json.loads, pump_lines)
    assert first == {"event": "request", "request_id": "r"}
    assert (second["event"], second["level"]) == ("triton", "error")
    assert (third["event"], third["message"]) == ("output", "some library")
    assert pump.last_words() == "failed to load 'engine': why\nsome library"
    assert pump.refused_a_model


NATIVE = [
    ('W1124 13:01:19.991243 3005 metrics.cc:798] "say \\"it\\""', "13:01:19 WARN  triton metrics.cc:798 say \\\"it\\\""),
    ("E1124 13:01:19.991243 3005 a.cc:1] plain", "13:01:19 ERROR triton a.cc:1 plain"),
    ("F1124 13:01:19.991243 3005 a.cc:1] \"", '13:01:19 FATAL triton a.cc:1 "'),
    ("I1124 13:01:19.991243 3005 a.cc:1] \"x\"", "13:01:19 INFO  triton a.cc:1 x"),
    ("[11/29/2026-22:05:39] [TRT-LLM] [W] slow", "WARN  trtllm [TRT-LLM] slow"),
    ("[11/29/2026-22:05:39] [TRT-LLM] [RANK 1] [E] bad", "ERROR trtllm [TRT-LLM] [RANK 1] bad"),
    ("[TensorRT-LLM][INFO] fine", "INFO  trtllm [TensorRT-LLM] fine"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "shown"), NATIVE)
def test_native_lines_in_our_style(line: str, shown: str) -> None:
    (text,) = pumped("text", line)
    assert text.endswith(shown) and re.match(r"\d\d:\d\d:\d\d ", text)
    (colored,) = pumped("color", line)
    assert SGR.sub("", colored) == text and "\x1b[" in colored
    found = json.loads(pumped("json", line)[0])
    assert shown.endswith(found["message"])
    news = "INFO " in shown
    assert bool(pumped("text", line, verbose=False)) is not news


def test_tables_stay_whole_or_are_left_out() -> None:
    rows = TABLE.splitlines()
    other = json.dumps({"event": "engine_ready"})
    shown = pumped("text", *rows[:2], other, *rows[2:])
    assert shown[0].endswith("server.cc:674") and [shown[1], *shown[3:]] == rows[1:]
    assert len(pumped("text", *rows[:2], other, *rows[2:], verbose=False)) == 1
    # Without Triton's line before it, a row is a line like any other.
    assert pumped("text", "+--+", verbose=False) == ["+--+"]


OURS = '{"time": "2026-12-01T01:42:56.220Z", "level": "info", "event": "request"}'


@pytest.mark.parametrize("level", "IW")
@pytest.mark.parametrize("text", ["Waiting for in-flight requests to complete.", 'say \\"it\\"'])
@pytest.mark.parametrize("count", [1, 3])
def test_lines_of_ours_before_the_newline_of_triton(level: str, text: str, count: int) -> None:
    """Triton writes a message and its newline one after the other; its newline is no line."""
    message = f'{level}1124 13:01:19.991243 3005 a.cc:1] "{text}"'
    joined = [message + OURS, *[OURS] * (count - 1), ""]
    for verbose in (True, False):
        lines = pumped("json", *joined, *joined, OURS, verbose=verbose)
        apart = [message, *[OURS] * count]
        expected = pumped("json", *apart, *apart, OURS, verbose=verbose)
        assert [drop_time(x) for x in lines] == [drop_time(x) for x in expected]
        assert lines.count(OURS) == 2 * count + 1


@pytest.mark.parametrize("line", [
    'E1124 13:01:19.991243 3005 a.cc:1] "no model ' + OURS.replace('"', '\\"') + '"',
    f'E1124 13:01:19.991243 3005 a.cc:1] no model "{OURS}',
    f"[TensorRT-LLM][ERROR] no model {OURS}", f'x "{OURS}',
])  # fmt: skip
def test_no_message_forges_a_line(line: str) -> None:
    (shown,) = pumped("json", line)
    assert json.loads(shown)["event"] != "request"


def drop_time(line: str) -> str:
    return re.sub('"time": "[^"]*"', "", line)


def test_what_triton_says_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "W1124 13:01:19.991243 3005 metrics.cc:798] DCGM unable to start: no",
        'E1129 20:07:10.323383 28 server.cc:241] "CudaDriverHelper has not been initialized."',
        "Error: Failed to initialize NVML",
    ]
    for gpu, verbose, shown in ((False, False, 0), (False, True, 3), (True, False, 3)):
        monkeypatch.setattr("gemma4_serve.logs.has_gpu", lambda gpu=gpu: gpu)
        assert len(pumped("text", *lines, verbose=verbose)) == shown


def test_requests() -> None:
    failed = RECORD | {"status": "CANCELLED", "message": "gone", "level": "warning"}
    unnamed = RECORD | {"request_id": ""}
    own = RECORD | {"request_id": "req_3003e648cc40498d9c97d25db9949fd3"}
    long = RECORD | {"request_id": "x" * 100}
    odd = RECORD | {"decode_s": "fast"}
    shown = pumped("text", *map(json.dumps, (RECORD, failed, unnamed, own, long, odd)))
    tail = "stop 5+10 tokens, first 12 ms, 100 tokens/s"
    assert shown[0] == f"20:05:39 INFO  request r1 {tail}"
    assert shown[1] == "20:05:39 WARN  request r1 CANCELLED: gone"
    assert shown[2] == f"20:05:39 INFO  request 6cd2c503 {tail}"
    assert shown[3] == f"20:05:39 INFO  request 3003e648 {tail}"
    assert shown[4] == f"20:05:39 INFO  request {'x' * 40}... {tail}"
    assert "decode_s=fast" in shown[5]
    assert all(len(line) <= 80 for line in (*shown[:4],))


ANY = st.text(alphabet=st.characters(exclude_categories=[]), max_size=60).map(
    lambda text: re.sub("[\n\r]", "", text)  # what ends a line of the server
)
FRAMES = st.sampled_from([
    "{}", "I1124 13:01:19.991243 3005 x.cc:1] {}", 'E1124 13:01:19.991243 3005 x.cc:1] "{}"',
    "[TensorRT-LLM][WARNING] {}", "{{{}", "\x1b[31m{}",
])  # fmt: skip


@given(st.lists(st.tuples(FRAMES, ANY), max_size=5), ANY, st.sampled_from(FORMS))
def test_no_terminal_obeys_and_nothing_is_lost(
    raw: list[tuple[str, str]], evil: str, form: LogForm
) -> None:
    lines = [frame.format(text) for frame, text in raw]
    lines += [
        json.dumps(RECORD | {"request_id": evil, "status": "CANCELLED", "message": evil}),
        json.dumps({"event": evil, evil: evil, "level": evil, "time": evil}, ensure_ascii=False),
    ]
    shown = pumped(form, *lines)
    assert len(shown) == len(lines)  # each one is a line, and only one
    for line, out in zip(lines, shown, strict=True):
        assert SGR.sub("", out).isprintable()
        if form == "json":
            values = json.loads(out)
            native = native_line(line)
            if native is not None:
                assert values["message"] == native.text
            elif line.startswith("{") and values.get("event") != "output":
                assert values == json.loads(line)
            else:
                assert values["message"] == re.sub("\x1b\\[[\\d;]*m", "", line)
        elif line.isprintable() and native_line(line) is None and not line.startswith("{"):
            assert out == line


def test_deep_json_is_a_line_like_any_other() -> None:
    for form in FORMS:
        assert len(pumped(form, '{"a": ' * 100_000)) == 1


def test_the_pump_reads_on_whatever_a_line_breaks() -> None:
    lines: list[Any] = []

    def write(line: Any) -> None:
        lines.append(line)
        if "bad" in line:
            raise RuntimeError("no place")

    pump = LogPump("json", verbose=True, write=write)
    pump.run(io.StringIO('bad\n{"event": "good"}\n' + "x" * 200_000 + "\nlast\n"))
    assert "last" in lines[-1] and '{"event": "good"}' in lines
    assert sum(line.count("x") for line in lines) == 200_000
    assert "bad" in pump.last_words() and "last" in pump.last_words()
