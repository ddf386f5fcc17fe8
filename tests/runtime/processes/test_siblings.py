"""Who is alone kills first the processes that cannot see that they are."""

from __future__ import annotations

import os
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
    monkeypatch.setattr(siblings, "_GRACE_S", 0.2)
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
