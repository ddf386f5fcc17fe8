"""A model process shows that it lives, and ends when it is broken or alone."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.processes.heartbeat import BEAT_S, read_signs
from gemma4_runtime.processes.model_process import EXIT_BROKEN
from gemma4_testing.waiting import wait_until

RUN = """
import os, sys, threading, time
from pathlib import Path
from gemma4_runtime.processes.model_process import start_model_process
from gemma4_runtime.settings import Settings
folder = Path(sys.argv[1])
beat = start_model_process(Settings(folder, folder, shm_prefix=sys.argv[2]))
print("up", flush=True)
sys.stdin.readline()
{then}
"""


def start(
    run_dir: Path, then: str = "beat.close()", shm_prefix: str = "", **options: Any
) -> subprocess.Popen[Any]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN.format(then=then), str(run_dir), shm_prefix],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def age(run_dir: Path, pid: int) -> float:
    return time.monotonic() - read_signs(run_dir, pid)[0]  # type: ignore[index]


def test_it_beats_and_a_stop_shows(tmp_path: Path) -> None:
    process = start(tmp_path)
    for _ in range(20):
        assert age(tmp_path, process.pid) < BEAT_S * 10
        time.sleep(BEAT_S / 4)
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: age(tmp_path, process.pid) > 1.0, 10)
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: age(tmp_path, process.pid) < BEAT_S * 3, 10)
    process.communicate("\n", timeout=10)
    assert process.returncode == 0
    assert read_signs(tmp_path, process.pid) is None


def test_a_process_without_a_beat(tmp_path: Path) -> None:
    assert read_signs(tmp_path, 1) is None
    (tmp_path / "beats").mkdir()
    (tmp_path / "beats" / "1").write_bytes(b"abc")
    assert read_signs(tmp_path, 1) is None


def test_a_dead_thread_ends_the_process_and_says_which(tmp_path: Path) -> None:
    process = start(
        tmp_path, "threading.Thread(target=lambda: 1 / 0, name='worker').start(); time.sleep(60)"
    )
    _, errors = process.communicate("\n", timeout=20)
    assert process.returncode == EXIT_BROKEN
    assert '"event": "thread_died"' in errors
    assert '"thread": "worker"' in errors and "division by zero" in errors


def test_an_orphan_ends_and_leaves_no_shared_memory(tmp_path: Path) -> None:
    prefix = f"gemma4_test_{os.getpid()}_"
    regions = [Path("/dev/shm") / f"{prefix}{number}" for number in range(2)]
    for region in regions:
        region.touch()
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {RUN.format(then='time.sleep(60)')!r}, "
        "*sys.argv[1:]], stdout=subprocess.PIPE, stdin=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), prefix], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    pidfd = os.pidfd_open(child)
    parent.kill()
    parent.wait(10)
    assert select.select([pidfd], [], [], 10)[0]
    os.close(pidfd)
    assert not any(region.exists() for region in regions)


STUCK = "import ctypes; ctypes.PyDLL(None).sleep(60)"
"""In C, with Python's global lock: no other thread of the process runs."""
STUCK_AFTER_SEEING = (
    "import ctypes\nbeats = Path(sys.argv[1], 'beats', str(os.getpid()))\n"
    "while beats.exists(): pass\n"
    "ctypes.PyDLL(None).sleep(60)"
)


@pytest.mark.parametrize("stuck", [STUCK, STUCK_AFTER_SEEING], ids=["before", "after"])
def test_an_orphan_that_cannot_end_is_ended_by_another(tmp_path: Path, stuck: str) -> None:
    code = (
        "import subprocess, sys, time\n"
        "for then in sys.argv[3:]:\n"
        "    child = subprocess.Popen([sys.executable, '-c', then, *sys.argv[1:3]],"
        " stdout=subprocess.PIPE, stdin=subprocess.PIPE)\n"
        "    child.stdout.readline()\n"
        "    child.stdin.write(b'\\n'); child.stdin.flush()\n"
        "    print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    programs = [RUN.format(then=then) for then in (stuck, "time.sleep(60)")]
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "", *programs],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    stranger = start(tmp_path, "time.sleep(60)")  # of another parent
    pidfds = [os.pidfd_open(int(parent.stdout.readline())) for _ in programs]
    parent.kill()
    parent.wait(10)
    for pidfd in pidfds:
        assert select.select([pidfd], [], [], 10)[0]
        os.close(pidfd)
    assert stranger.poll() is None
    stranger.kill()
    stranger.communicate()


def test_the_first_request_imports_nothing_large() -> None:
    """Triton's stub imports asyncio when it has executed the first request of a model; that took
    10 to 25 ms in each step of the ensemble."""
    code = (
        "import sys; import gemma4_runtime.processes.model_process; print('asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"
