"""Signals and failures while Dynamo's library connects."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from gemma4_dynamo.joining import joining, set_at_signals
from gemma4_dynamo.options import OptionsError, WorkerOptions

OPTIONS = WorkerOptions(engine=Path("e"), discovery="file")


def test_a_signal_ends_the_process_meanwhile_and_is_orderly_after() -> None:
    async def run() -> None:
        stop = asyncio.Event()
        set_at_signals(stop)
        with joining(OPTIONS, stop):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 5)

    asyncio.run(run())


def test_a_signal_that_came_just_before_is_not_lost() -> None:
    """The loop has not looked at it yet when Dynamo's library takes over."""

    async def run() -> None:
        stop = asyncio.Event()
        set_at_signals(stop)
        os.kill(os.getpid(), signal.SIGTERM)
        with joining(OPTIONS, stop):
            pass
        await asyncio.wait_for(stop.wait(), 5)

    asyncio.run(run())


TWICE = """
import asyncio, os, signal
from gemma4_dynamo.joining import set_at_signals
async def run():
    stop = asyncio.Event()
    set_at_signals(stop)
    os.kill(os.getpid(), signal.SIGTERM)
    await stop.wait()
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(60)
asyncio.run(run())
"""


def test_a_second_signal_ends_the_process_at_once() -> None:
    assert subprocess.run([sys.executable, "-c", TWICE], timeout=50, check=False).returncode == 130


FIRST_PROCESS = """
import asyncio, os, signal, sys, time
from pathlib import Path
from gemma4_dynamo.joining import joining, set_at_signals
from gemma4_dynamo.options import WorkerOptions
async def run():
    assert os.getpid() == 1, os.getpid()
    stop = asyncio.Event()
    set_at_signals(stop)
    with joining(WorkerOptions(engine=Path("e"), discovery="file"), stop):
        print("joining", flush=True)
        time.sleep(60)  # Dynamo's library, which lets nothing else run
asyncio.run(run())
"""
NAMESPACE = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child"]
ALLOWED = (
    shutil.which("unshare") is not None
    and subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
)


@pytest.mark.skipif(not ALLOWED, reason="this user may make no namespace of processes")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_so_it_is_for_the_first_process_of_a_container(number: int) -> None:
    """Linux gives it no signal that it has no handler for, and Kubernetes sends only one."""
    process = subprocess.Popen(
        [*NAMESPACE, sys.executable, "-c", FIRST_PROCESS], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "joining\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), number)
    assert process.wait(20) == number


def test_what_dynamo_raises_names_the_options() -> None:
    async def run() -> None:
        with joining(OPTIONS, asyncio.Event()):
            raise Exception("no lease\nat all")

    with pytest.raises(OptionsError) as found:
        asyncio.run(run())
    text = str(found.value)
    assert text.startswith("--discovery-backend file, --request-plane tcp, --event-plane zmq")
    assert "no lease" in text and "\n" not in text


def test_the_end_of_the_process_is_no_failure() -> None:
    async def run() -> None:
        with joining(OPTIONS, asyncio.Event()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run())
