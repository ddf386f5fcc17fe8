"""A log that cannot be written, or that nobody reads, fails and delays nobody."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from gemma4_runtime.logs.writer import LogWriter, write_at_once

QUICK_S = 1.0
"""Far less than a writer that waits for its reader would take."""


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    ends = list(os.pipe())
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


def test_lines_arrive_in_order(pipe: list[int]) -> None:
    reader, writer = pipe
    log = LogWriter(writer)
    for number in range(100):
        log.write(f"line {number} ü")
    assert log.flush(5)
    assert os.read(reader, 1 << 16).decode().split("\n")[:-1] == [f"line {n} ü" for n in range(100)]
    assert log.dropped == 0


def test_a_reader_that_is_gone(pipe: list[int]) -> None:
    reader, writer = pipe
    os.close(reader)
    log = LogWriter(writer)
    for _ in range(10):
        log.write("lost")
    assert log.flush(5)
    assert log.dropped == 10


def test_a_full_disk() -> None:
    with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123 - a device
        log = LogWriter(file.fileno())
        log.write("lost")
        assert log.flush(5) and log.dropped == 1


def test_a_closed_descriptor(pipe: list[int]) -> None:
    os.close(pipe[1])
    log = LogWriter(pipe[1])
    log.write("lost")
    assert log.flush(5) and log.dropped == 1


def test_a_frozen_reader_delays_nobody_and_hears_what_it_missed(pipe: list[int]) -> None:
    reader, writer = pipe
    log = LogWriter(writer, most_bytes=100_000)
    started = time.monotonic()
    for number in range(5000):
        log.write(f"{number}".rjust(99))
    assert time.monotonic() - started < QUICK_S
    assert log.dropped > 1000
    assert not log.flush(0.05)

    seen = bytearray()

    def read() -> None:
        while data := os.read(reader, 1 << 16):
            seen.extend(data)

    thread = threading.Thread(target=read)
    thread.start()
    assert log.flush(10)
    log.write("after")
    assert log.flush(10)
    os.close(writer)
    thread.join(10)
    reports = [json.loads(line) for line in seen.splitlines() if line.startswith(b"{")]
    assert [report["event"] for report in reports] == ["log_lines_dropped"] * len(reports)
    assert sum(report["lines"] for report in reports) == log.dropped
    assert seen.endswith(b"after\n")


def test_a_descriptor_that_does_not_block(pipe: list[int]) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    log = LogWriter(writer)
    line = "x" * 60_000
    for _ in range(3):
        log.write(line)
    got = b""
    while len(got) < 3 * 60_001:
        got += os.read(reader, 1 << 16)
    assert got == (line.encode() + b"\n") * 3


def test_lines_that_are_written_together_fit_a_pipe() -> None:
    """Processes share a pipe: what is longer may be mixed up with lines of others."""
    written: list[bytes] = []
    started = threading.Event()

    def put(data: bytes) -> None:
        started.wait(5)
        written.append(data)

    log = LogWriter(put)
    for size in (10, 5000, *[100] * 200, select.PIPE_BUF - 1, 3):
        log.write("x" * size)
    started.set()
    assert log.flush(5)
    assert all(len(data) <= select.PIPE_BUF or data.count(b"\n") == 1 for data in written)
    assert sum(data.count(b"\n") for data in written) == 204 > 5 * len(written)


def test_a_closed_writer_counts_what_it_does_not_take() -> None:
    written: list[bytes] = []
    log = LogWriter(written.append)
    log.write("a")
    log.close()
    log.write("b")
    assert log.flush(0) and written == [b"a\n"] and log.dropped == 1


def test_what_is_written_at_once_never_waits(pipe: list[int]) -> None:
    reader, writer = pipe
    assert write_at_once(writer, "ü") and os.read(reader, 9) == "ü\n".encode()
    assert not write_at_once(writer, "x" * select.PIPE_BUF)
    started = time.monotonic()
    lines = 0
    while write_at_once(writer, "x" * 2000):
        lines += 1
    assert lines > 20 and time.monotonic() - started < QUICK_S
    os.close(reader)
    assert not write_at_once(writer, "lost")
    os.close(writer)
    assert not write_at_once(writer, "lost")
    with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123 - a device
        assert not write_at_once(file.fileno(), "lost")


CODE = """
import os, sys, threading
from gemma4_runtime.logs.events import log_event, log_event_at_once
{setup}
log_event_at_once("at_once", text="x" * 5000)
assert threading.active_count() == 1
class Odd:
    def __str__(self): raise RuntimeError("no text")
for number in range(2000):
    log_event("e", text="\\ud800" + "x" * 5000, odd=Odd(), number=number)
os.write(1, b"went on")
"""


@pytest.mark.parametrize(
    "setup", ["", "os.close(2)", "os.dup2(os.open('/dev/full', os.O_WRONLY), 2)",
              "r, w = os.pipe(); os.dup2(w, 2)", "r, w = os.pipe(); os.dup2(w, 2); os.close(r)"],
    ids=["fine", "closed", "full", "frozen", "gone"],
)  # fmt: skip
def test_events_never_raise_and_never_block(setup: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CODE.format(setup=setup)], capture_output=True, timeout=60
    )
    assert ran.stdout == b"went on" and ran.returncode == 0
    if not setup:
        lines = ran.stderr.splitlines()
        assert len(lines) == 2001 and json.loads(lines[0])["event"] == "at_once"
        assert all(json.loads(line)["event"] == "e" for line in lines[1:])
