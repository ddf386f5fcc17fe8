"""A log that cannot be written ends nothing and delays nobody."""

from __future__ import annotations

import http.client
import io
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gemma4_gateway.access_log import Log
from gemma4_gateway.record import Record
from gemma4_runtime.logs.writer import LogWriter
from gemma4_serve.ports import free_port
from gemma4_testing.fakes.fake_backend import FakeBackend, fake_backend
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.waiting import wait_until
from hypothesis import given
from hypothesis import strategies as st

CHAT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()


@pytest.fixture(scope="module")
def backend() -> Iterator[FakeBackend]:
    with fake_backend("good") as found:
        yield found


@pytest.fixture
def port() -> int:
    return free_port()


def start(backend: FakeBackend, port: int, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            GEMMA4, "gateway", "--port", str(port), "--served-model-name", "m",
            f"--backend={backend.address}",
        ],
        stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip


def ask(port: int, path: str, body: bytes | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(
            "POST" if body else "GET", path, body, {"content-type": "application/json"}
        )
        reply = connection.getresponse()
        reply.read()
        return reply.status
    finally:
        connection.close()


def until_ready(port: int, process: subprocess.Popen[Any]) -> None:
    end = time.monotonic() + 30
    while True:
        assert process.poll() is None, process.returncode
        assert time.monotonic() < end
        try:
            if ask(port, "/health/ready") == 200:
                return
        except OSError:
            time.sleep(0.05)


def dropped(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r"^gemma4_gateway_log_lines_dropped (\S+)", text, re.M)
    assert found is not None, text
    return int(float(found[1]))


def serves(port: int, count: int) -> None:
    for _ in range(count):
        assert ask(port, "/v1/chat/completions", CHAT) == 200


def stop(process: subprocess.Popen[Any], sig: signal.Signals = signal.SIGTERM) -> None:
    process.send_signal(sig)
    assert process.wait(20) == 0


def test_the_reader_has_gone(backend: FakeBackend, port: int) -> None:
    process = start(backend, port, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until_ready(port, process)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()
    serves(port, 20)
    wait_until(lambda: dropped(port) > 0, 10)
    serves(port, 20)
    stop(process)


def test_the_reader_is_frozen(backend: FakeBackend, port: int) -> None:
    """Nobody reads the pipe: it fills, and then the queue does."""
    process = start(backend, port, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until_ready(port, process)
    # A pipe keeps 64 KiB; a path in the line makes that few requests.
    for _ in range(300):
        assert ask(port, "/" + "x" * 500) == 404
    serves(port, 50)
    stop(process)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


def test_the_disk_is_full(backend: FakeBackend, port: int) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(backend, port, stdout=full, stderr=full)
        until_ready(port, process)
        serves(port, 20)
        wait_until(lambda: dropped(port) > 0, 10)
        stop(process)


def test_no_output_at_all(backend: FakeBackend, port: int) -> None:
    process = start(
        backend,
        port,
        preexec_fn=lambda: os.closerange(1, 3),
        stdout=None,
        stderr=None,
    )
    until_ready(port, process)
    serves(port, 20)
    stop(process)


def test_a_terminal_that_closes_drains(backend: FakeBackend, port: int) -> None:
    leader, follower = pty.openpty()
    process = start(
        backend, port, stdout=follower, stderr=follower, start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(1, __import__("termios").TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(follower)
    reader = threading.Thread(target=drain_fd, args=(leader,), daemon=True)
    reader.start()
    until_ready(port, process)
    serves(port, 3)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 0


def drain_fd(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except OSError:
        pass


@pytest.mark.parametrize("sig", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_signals_drain_and_say_so(backend: FakeBackend, port: int, sig: signal.Signals) -> None:
    process = start(backend, port, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until_ready(port, process)
    process.send_signal(sig)
    assert process.stderr is not None
    text = process.stderr.read().decode()
    assert process.wait(20) == 0
    stopped = [json.loads(line) for line in text.splitlines() if '"stopped"' in line]
    assert [s["signal"] for s in stopped] == [sig.name]


def test_hangups_are_ignored_under_nohup(backend: FakeBackend, port: int) -> None:
    process = start(
        backend, port, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    until_ready(port, process)
    process.send_signal(signal.SIGHUP)
    serves(port, 5)
    stop(process)


class Broken(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)


def test_lines_come_again_and_tell_what_was_lost() -> None:
    out = Broken(OSError(28, "No space left on device"))
    log = Log("json", out)
    log.event("a")
    log._writer.flush(5)
    assert log.dropped == 1
    out.error = None
    log.event("b")
    log._writer.flush(5)
    assert json.loads(out.getvalue()) | {"lines_dropped": 1, "event": "b"} == json.loads(
        out.getvalue()
    )


def test_a_full_queue_drops_and_does_not_wait() -> None:
    read, write = os.pipe()
    with os.fdopen(read) as reader, os.fdopen(write, "w") as out:
        writer = LogWriter(out.fileno(), most_bytes=20_000)
        started = time.monotonic()
        for _ in range(50_000):
            writer.write("x" * 200)
        assert time.monotonic() - started < 5
        assert writer.dropped > 40_000
        assert not writer.flush(0.1)
        lines = threading.Thread(target=reader.read, daemon=True)
        lines.start()
        assert writer.flush(10)
        writer.close()


NASTY = st.text(alphabet=st.characters(exclude_categories=[]), max_size=60)


@given(NASTY, NASTY, st.sampled_from(["json", "text", "color"]))
def test_no_text_forges_a_line_or_a_field(path: str, error: str, form: Any) -> None:
    out = io.StringIO()
    log = Log(form, out)
    record = Record("req_1", "GET", path, status=404)
    record.error = error
    log.request(record)
    log.close()
    text = out.getvalue()
    assert text.endswith("\n") and len(text.splitlines()) == 1
    if form == "color":
        text = re.sub("\x1b\\[(?:0|1|2|32)m", "", text)
    assert text.isascii() or not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", text
    )
    if form != "json":
        value = r"""(?:"(?:[^"\\]|\\.)*"|[^\s"'=\\]+)"""
        line = rf"\d\d:\d\d:\d\d INFO  request req_1 404 GET {value} \S+ s(?: error={value})?\n"
        assert re.fullmatch(line, text)
    else:
        assert json.loads(text)["path"] == path[:512]
