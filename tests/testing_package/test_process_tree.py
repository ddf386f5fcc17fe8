"""Processes that end while others look at them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import gemma4_testing
import psutil
import pytest
from gemma4_testing.servers.process_tree import (
    find_process,
    find_processes,
    kill_each,
    kill_tree,
    pids_below,
    tree,
)
from gemma4_testing.waiting import wait_until

ROOT = Path(__file__).parents[2]
WAITS = "import sys; sys.stdin.read()"
FAMILY = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {WAITS!r}], stdin=subprocess.PIPE)
time.sleep(60)
"""
"""Its child ends as soon as it has ended, as the processes of a server do."""


def sources() -> list[Path]:
    folders = ("tests", "testing", "bench", "scripts")
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


def family() -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", FAMILY])
    wait_until(lambda: bool(children(process)), 20)
    return process


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Its child, once that is no longer a copy of its parent."""
    return find_processes(process.pid, lambda p: p.cmdline()[-1:] == [WAITS])


def test_a_tree_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is gone when its turn comes is no error."""
    process = family()
    (child,) = children(process)
    kill = psutil.Process.kill

    def after_its_end(self: psutil.Process) -> None:
        """It has just ended by itself."""
        kill(self)
        if self.pid == process.pid:
            process.wait()
        else:
            wait_until(lambda: not alive(self), 20)
        kill(self)

    def alive(one: psutil.Process) -> bool:
        return one.is_running() and one.status() != psutil.STATUS_ZOMBIE

    monkeypatch.setattr(psutil.Process, "kill", after_its_end)
    kill_tree(process.pid)
    assert process.wait() == -9
    wait_until(lambda: not child.is_running(), 20)


def test_an_ended_process_has_no_tree() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert tree(process.pid) == pids_below(process.pid) == []
    kill_tree(process.pid)
    with pytest.raises(AssertionError, match="no such process"):
        find_process(process.pid, lambda _: True)


def test_each_is_killed_that_runs() -> None:
    """One of a list has ended since it was made."""
    ended, runs = subprocess.Popen([sys.executable, "-c", ""]), family()
    below = pids_below(runs.pid)
    ended.wait()
    kill_each((ended.pid, runs.pid, *below))
    assert runs.wait() == -9


def test_one_that_ends_while_it_is_asked_is_passed_over() -> None:
    process = family()

    def asked(one: psutil.Process) -> bool:
        raise psutil.NoSuchProcess(one.pid)

    try:
        assert find_processes(process.pid, asked) == []
    finally:
        kill_tree(process.pid)
        process.wait()


KILLS_IN_TURN = re.compile(r"for \w+ in [^\n]*:\n(?: +with [^\n]*\n)? +os\.kill\([^\n]*SIGKILL")


def test_nobody_else_kills_in_turn() -> None:
    """A server's processes end when they see that another has: the next pid may be gone."""
    own = {Path(gemma4_testing.__file__).parent / "servers/process_tree.py"}
    assert {path for path in sources() if KILLS_IN_TURN.search(path.read_text())} == own


def test_nobody_else_walks_trees() -> None:
    """Each walk of its own forgot that the next process may be gone."""
    own = {Path(gemma4_testing.__file__).parent / "servers/process_tree.py", Path(__file__)}
    count_only = {ROOT / "tests/runtime/engines/test_trtllm_workers.py", ROOT / "bench/engine.py",
                  ROOT / "bench/nvidia_ensemble.py"}  # fmt: skip
    found = {path for path in sources() if "children(recursive" in path.read_text()}
    assert found == own | count_only
