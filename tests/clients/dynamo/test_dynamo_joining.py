"""Signals and failures while Dynamo's library connects."""

from __future__ import annotations

import asyncio
import os
import signal
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
