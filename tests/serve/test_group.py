"""What a server leaves behind ends with it."""

from __future__ import annotations

import subprocess
import sys
import time

from gemma4_serve.group import end_group, members

CHILD = "import time; print('up', flush=True); time.sleep({})"


def orphan(seconds: float) -> int:
    """A group whose leader has ended and whose other process sleeps; its id."""
    code = (
        "import subprocess, sys; "
        f"child = subprocess.Popen([sys.executable, '-c', {CHILD.format(seconds)!r}], "
        "stdout=subprocess.PIPE); child.stdout.readline()"
    )
    leader = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    assert leader.wait(20) == 0
    return leader.pid


def test_a_process_that_ends_by_itself_is_waited_for() -> None:
    group = orphan(1.0)
    assert len(members(group)) == 1
    started = time.monotonic()
    assert end_group(group, 30)
    assert members(group) == []
    assert time.monotonic() - started < 20


def test_a_process_that_stays_is_killed() -> None:
    group = orphan(60)
    assert len(members(group)) == 1
    assert not end_group(group, 0.1)
    assert members(group) == []
    assert end_group(group, 0)
