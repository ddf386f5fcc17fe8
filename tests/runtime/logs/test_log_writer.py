"""A log that cannot be written, or that nobody reads, fails and delays nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from gemma4_runtime.logs.writer import LogWriter

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


CODE = """
import os, sys
from gemma4_runtime.logs.events import log_event
{setup}
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
        assert len(lines) == 2000
        assert all(json.loads(line)["event"] == "e" for line in lines)
