"""Who is alone kills first the processes that cannot see that they are."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from gemma4_runtime.processes import siblings
from gemma4_runtime.processes.heartbeat import BEATS_NAME, SEEN


@pytest.mark.parametrize("stuck", range(4))
def test_those_that_cannot_see_it_are_killed_first(
    stuck: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that have seen it kill each other, and may both be gone before a third comes in turn."""
    killed: list[int] = []
    monkeypatch.setattr(os, "getppid", os.getpid)
    monkeypatch.setattr(os, "getpid", lambda: 0)
    monkeypatch.setattr(psutil.Process, "kill", lambda process: killed.append(process.pid))
    (tmp_path / BEATS_NAME).mkdir()
    children = [
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(4)
    ]
    try:
        for number, child in enumerate(children):
            suffix = "" if number == stuck else SEEN
            (tmp_path / BEATS_NAME / f"{child.pid}{suffix}").touch()
        siblings.end_siblings(tmp_path)
        assert killed[0] == children[stuck].pid
        assert sorted(killed) == sorted(child.pid for child in children)
    finally:
        for child in children:
            child.terminate()
            child.communicate()


_MEMBER = """
import ctypes, os, pathlib, sys, time
from gemma4_runtime.processes import siblings
from gemma4_runtime.processes.heartbeat import BEATS_NAME, SEEN
run_dir, stuck = pathlib.Path(sys.argv[1]), sys.argv[2] == "stuck"
(run_dir / BEATS_NAME / f"{os.getpid()}{SEEN}").touch()
print(flush=True)
while not (run_dir / "go").exists(): time.sleep(0.001)
if stuck:
    ctypes.PyDLL(None).sleep(60)  # a PyDLL keeps Python's lock
try:
    siblings.end_siblings(run_dir)
finally:
    os._exit(71)
"""


@pytest.mark.parametrize("attempt", range(5))
def test_nobody_is_left_who_has_seen_it_and_cannot_end(attempt: int, tmp_path: Path) -> None:
    """Five would end each other at the same time, and two more have stopped just before."""
    (tmp_path / BEATS_NAME).mkdir()
    members = [
        subprocess.Popen(
            [sys.executable, "-c", _MEMBER, str(tmp_path), "stuck" if number > 4 else "-"],
            stdout=subprocess.PIPE,
        )
        for number in random.Random(attempt).sample(range(7), 7)
    ]
    try:
        for member in members:
            assert member.stdout is not None and member.stdout.readline()
        (tmp_path / "go").touch()
        for member in members:
            member.wait(10)
    finally:
        for member in members:
            member.kill()
            member.communicate()
