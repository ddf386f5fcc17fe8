"""What shows that a server has sent all that it has to send."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Timer

import pytest
from gemma4_serve.sent import at_rest, holds_bytes, wait_sent
from gemma4_testing.waiting import wait_until

SOON_S = 10


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that computes for as long as it is told, then sleeps."""
    code = (
        "import sys, time\n"
        "for line in sys.stdin:\n"
        "    end = time.monotonic() + float(line)\n"
        "    while time.monotonic() < end: pass\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, bufsize=0)
    wait_until(lambda: at_rest(child.pid), SOON_S)
    yield child
    child.kill()
    child.communicate()


def compute(process: subprocess.Popen[bytes], seconds: float) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{seconds}\n".encode())
    wait_until(lambda: not at_rest(process.pid), SOON_S)


def test_a_process_that_computes_has_not_sent_all(process: subprocess.Popen[bytes]) -> None:
    compute(process, 1.0)
    begun = time.monotonic()
    assert wait_sent([process.pid], (), least=0, most=SOON_S)
    assert time.monotonic() > begun + 0.5


def test_a_starved_process_has_not_sent_all(process: subprocess.Popen[bytes]) -> None:
    """One that wants to run but gets no processor uses no CPU time; its state tells."""
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for each in (process.pid, hog.pid):
            os.sched_setaffinity(each, {min(os.sched_getaffinity(0))})
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        assert process.stdin is not None
        process.stdin.write(b"0.2\n")
        wait_until(lambda: not at_rest(process.pid), SOON_S)
        assert not wait_sent([process.pid], (), least=0, most=0.15)
    finally:
        hog.kill()
        hog.wait()
    assert wait_sent([process.pid], (), least=0, most=SOON_S)


def test_a_stopped_process_has_not_sent_all(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: not at_rest(process.pid), SOON_S)
    assert not wait_sent([process.pid], (), least=0, most=0.3)
    Timer(0.3, process.send_signal, [signal.SIGCONT]).start()
    assert wait_sent([process.pid], (), least=0, most=SOON_S)


def test_one_that_is_gone_keeps_nobody_waiting(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert wait_sent([process.pid], (), least=0, most=SOON_S)


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_bytes_that_nobody_has_read(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection((host, port)) as client:
            server, _ = listener.accept()
            with server:
                assert wait_sent((), (port,), least=0, most=SOON_S)
                client.sendall(b"x")
                wait_until(lambda: holds_bytes((port,)), SOON_S)
                assert not holds_bytes((port + 1,))
                assert server.recv(1) == b"x" and not holds_bytes((port,))
                server.setblocking(False)
                with pytest.raises(BlockingIOError):
                    while True:
                        server.send(bytes(1 << 16))
                assert not wait_sent((), (port,), least=0, most=0.3)


def test_it_waits_for_the_least_time() -> None:
    begun = time.monotonic()
    assert wait_sent((), (), least=0.3, most=SOON_S)
    assert time.monotonic() >= begun + 0.3
