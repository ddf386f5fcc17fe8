"""The exit code of a command, whatever comes while Python ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys
from gemma4_cli.guard import guarded

class Late:
    def __del__(self):  # Python has taken its signal handlers away by now
        os.kill(os.getpid(), signal.{name})

late = Late()
late.itself = late

def command():
    signal.signal(signal.{name}, lambda *_: None)
    raise SystemExit(3)

code = guarded(command)
os.kill(os.getpid(), signal.{name})
sys.exit(code)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_late_signal_does_not_change_the_exit_code(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(name=name)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (ran.returncode, ran.stderr) == (3, "")


def test_a_command_without_handlers_can_be_terminated() -> None:
    script = "import os, signal\nfrom gemma4_cli.guard import guarded\nguarded(lambda: None)\n"
    script += "os.kill(os.getpid(), signal.SIGTERM)"
    ran = subprocess.run([sys.executable, "-c", script], check=False, timeout=240)
    assert ran.returncode == -15
