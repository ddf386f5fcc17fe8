"""A process ends after its parent, though no thread of Python runs in it; not after a mere thread
of the parent, and not since it stood still. The seconds are few here: see ``FEW_S``."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from gemma4_runtime.processes import parent
from gemma4_runtime.processes.heartbeat import BEAT_S

FEW_S = 1
"""Seconds that the processes of this file have left: they use the signal of this number."""

CHILD = """
import ctypes, os, signal, sys, time
from pathlib import Path
from gemma4_runtime.processes import parent
from gemma4_runtime.processes.heartbeat import Heartbeat
parent.SIGNAL, parent.LEFT_S = signal.Signals({few}), {few}
def stuck():
    "In C, with Python's global lock, where no signal ends the wait."
    lock = ctypes.create_string_buffer(256)
    take = ctypes.PyDLL(None).pthread_mutex_lock
    print("up", flush=True)
    take(lock), take(lock)
{child}
print("up", flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys, time
from threading import Thread
def start():
    child = subprocess.Popen([sys.executable, "-c", {child!r}, sys.argv[1]], stdout=subprocess.PIPE)
    child.stdout.readline()
    print(child.pid, flush=True)
{start}
time.sleep(60)
"""
BEATS = "beat = Heartbeat(Path(sys.argv[1]), on_orphan=lambda: {then})"
WORKER = """
import socket
from gemma4_runtime.engines.tensorrt_llm import wire, worker
worker.load = lambda *_, **__: stuck()
ours, theirs = socket.socketpair()
ours.sendall(wire.frame(wire.Start("", "", False, 0, 1)))
worker.main(theirs.fileno())
"""
NEVER_LOOKS = "kept = parent.Parent()"
IN_MAIN, IN_THREAD = "start()", "Thread(target=start).start()"


@contextmanager
def family(folder: Path, child: str, start: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A parent, and the descriptor of the process that it has started."""
    code = PARENT.format(child=CHILD.format(few=FEW_S, child=child), start=start)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        pidfd = os.pidfd_open(int(process.stdout.readline()))
        try:
            yield process, pidfd
        finally:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
            process.kill()
            process.wait(10)


def ends(pidfd: int, within: float) -> bool:
    return bool(select.select([pidfd], [], [], within)[0])


@pytest.mark.parametrize(
    "child",
    [
        f"{BEATS.format(then='os._exit(0)')}\nstuck()",
        BEATS.format(then="stuck()"),
        "parent.end_with_parent()\nstuck()",
        WORKER,
        "parent.end_with_parent()\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    ],
    ids=[
        "stuck before",
        "stuck at its end",
        "no heartbeat",
        "worker of TensorRT-LLM",
        "blocks signals",
    ],
)
def test_the_last_process_ends_though_it_cannot_look(tmp_path: Path, child: str) -> None:
    with family(tmp_path, child, IN_MAIN) as (process, pidfd):
        process.kill()
        process.wait(10)
        assert ends(pidfd, FEW_S + 10)


def test_a_thread_of_the_parent_that_ends_costs_nothing(tmp_path: Path) -> None:
    """The first process shows that Linux does send the signal then."""
    with family(tmp_path / "1", NEVER_LOOKS, IN_THREAD) as (_, pidfd):
        assert ends(pidfd, FEW_S + 10)
    with family(tmp_path / "2", BEATS.format(then="os._exit(0)"), IN_THREAD) as (process, pidfd):
        assert not ends(pidfd, FEW_S * 4)
        process.kill()
        assert ends(pidfd, 10)


def test_a_long_stop_costs_nothing(tmp_path: Path) -> None:
    with family(tmp_path, BEATS.format(then="os._exit(0)"), IN_MAIN) as (_, pidfd):
        signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
        assert not ends(pidfd, FEW_S * 3)
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        assert not ends(pidfd, FEW_S * 3)


def test_a_stopped_process_ends_after_it_goes_on(tmp_path: Path) -> None:
    with family(tmp_path, f"{BEATS.format(then='stuck()')}\nstuck()", IN_MAIN) as (process, pidfd):
        signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
        process.kill()
        process.wait(10)
        assert not ends(pidfd, FEW_S * 2)
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        assert ends(pidfd, FEW_S + 10)


def test_the_seconds_left_are_the_number_of_the_signal() -> None:
    assert int(parent.SIGNAL) == parent.LEFT_S > 20 > BEAT_S
