"""What is seen of a server that loads its models: a model's process that ends, and the server's own
end, which is none of its models'."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from gemma4_serve.proc import runs
from gemma4_serve.starting import StartWatch
from gemma4_testing.servers.process_tree import find_processes, kill_each
from gemma4_testing.waiting import wait_until

MODEL = "/models/engine/1/model.py"
SERVER = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", {MODEL!r}])
time.sleep(60)
"""


class Loading:
    """A server with one model, and the watch that has seen both."""

    def __init__(self) -> None:
        self.server = subprocess.Popen([sys.executable, "-c", SERVER])
        wait_until(self._models, 20)
        (self.model,) = self._models()
        self.watch = StartWatch(self.server.pid)
        self._now = time.monotonic()
        assert self.look() is None and not self.watch.lost_a_model

    def _models(self) -> list[psutil.Process]:
        return find_processes(self.server.pid, lambda p: p.cmdline()[-1:] == [MODEL])

    def look(self) -> str | None:
        self._now += 1
        return self.watch.trouble(self._now)


@pytest.fixture
def loading() -> Iterator[Loading]:
    made = Loading()
    yield made
    kill_each((made.server.pid, made.model.pid))
    made.server.wait()


def test_a_model_that_ends_is_lost(loading: Loading) -> None:
    loading.model.kill()
    wait_until(lambda: not runs(loading.model.pid), 20)
    loading.look()
    assert loading.watch.lost_a_model


@pytest.mark.parametrize("model", ["lives", "ends"])
def test_a_server_that_ends_has_lost_no_model(loading: Loading, model: str) -> None:
    """A crash of its own is tried again, a lost model is not: its parent's end is not its own."""
    loading.server.send_signal(signal.SIGABRT)
    wait_until(lambda: not runs(loading.server.pid), 20)  # and nobody has asked for its status yet
    if model == "ends":
        loading.model.kill()
        wait_until(lambda: not runs(loading.model.pid), 20)
    loading.look()
    assert not loading.watch.lost_a_model
