"""How processes are called and how they ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gemma4_serve import tied
from gemma4_serve.proc import cause_of_death, describe_status, name_of, runs, thread_states
from gemma4_testing.waiting import wait_until


def test_states_and_causes() -> None:
    child = subprocess.Popen(["sleep", "60"])
    wait_until(lambda: name_of(child.pid) == "sleep" and runs(child.pid), 5)
    child.send_signal(signal.SIGSTOP)
    wait_until(lambda: thread_states(child.pid) == {"T"}, 5)
    child.kill()
    wait_until(lambda: thread_states(child.pid) == {"Z"}, 5)
    assert cause_of_death(child.pid) == "was killed by signal 9 (SIGKILL)"
    assert not runs(child.pid)
    child.wait()
    assert cause_of_death(child.pid) == "ended" and thread_states(child.pid) == set()
    assert name_of(child.pid) == "process"


@pytest.mark.parametrize(
    ("status", "says"),
    [(0, "exited with status 0"), (70, "exited with status 70"),
     (-11, "was killed by signal 11 (SIGSEGV)"), (-64, "was killed by signal 64 (SIGRTMAX)"),
     (-99, "was killed by signal 99")],
)  # fmt: skip
def test_statuses(status: int, says: str) -> None:
    assert describe_status(status) == says


def test_the_name_of_a_model(tmp_path: Path) -> None:
    model = tmp_path / "preprocessing" / "1" / "model.py"
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child.stdout.read(3)
    assert name_of(child.pid) == "preprocessing"
    child.communicate(b"")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT])
@pytest.mark.parametrize("frozen", [True, False])
def test_a_tied_command_ends_with_its_parent(how: Any, frozen: bool, tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, {tied.__file__!r}, str(os.getpid()), "
        "'/bin/sleep', '60'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    child = int(parent.stdout.readline())
    wait_until(lambda: name_of(child) == "sleep", 10)
    if frozen:
        os.kill(child, signal.SIGSTOP)
    parent.send_signal(how)
    parent.wait(10)
    wait_until(lambda: not runs(child), 5)


def test_a_tied_command_without_its_parent_does_not_start() -> None:
    ran = subprocess.run([sys.executable, tied.__file__, "1", "/bin/echo", "x"],
                         capture_output=True)  # fmt: skip
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert Path(tied.__file__).is_file()
