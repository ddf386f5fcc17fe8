"""A worker that stops reading holds up nobody."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

from gemma4_runtime.outbox import Outbox
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.fakes.engine_harness import WAIT_S, ask, load_tensorrt_llm, run

FRAMES = [bytes([i]) * 200_000 for i in range(50)]
"""More than a socket holds."""


def test_frames_wait_for_the_reader_and_keep_their_order() -> None:
    ours, theirs = socket.socketpair()
    outbox = Outbox(ours, "outbox")
    started = time.monotonic()
    for frame in FRAMES:
        outbox.put(frame)
    assert time.monotonic() - started < 1
    left = sum(map(len, FRAMES))
    read = bytearray()
    while len(read) < left:
        read += theirs.recv(1 << 20)
    assert bytes(read) == b"".join(FRAMES)
    outbox.end()
    ours.close()
    theirs.close()


def test_a_reader_that_is_gone_ends_it() -> None:
    ours, theirs = socket.socketpair()
    outbox = Outbox(ours, "outbox")
    for frame in FRAMES:
        outbox.put(frame)
    theirs.close()
    outbox.put(b"after the end")
    outbox.end()
    ours.close()


def test_a_stopped_worker_does_not_hold_up_the_others(
    checkpoint: Path, table: TokenTable, tmp_path: Path, encode: Callable[[str], list[int]]
) -> None:
    folder = tmp_path / "engine"
    engine: Any = load_tensorrt_llm(
        checkpoint, table, folder, slots=1,
        settings=Settings(folder, folder, gpu_device_ids="0;1"),
    )  # fmt: skip
    stopped, other = engine._replicas
    os.kill(stopped._process.pid, signal.SIGSTOP)
    try:
        # A frame of megabytes, which the socket of a stopped worker cannot take.
        options: dict[str, Any] = {"key": "big", "bad_token_ids": (300,) * 1_000_000}
        asking = Thread(target=lambda: ask(engine, encode("Hello"), **options), daemon=True)
        asking.start()
        asking.join(WAIT_S)
        assert not asking.is_alive()
        assert (stopped.running, other.running) == (1, 0)
        for i in range(3):
            assert run(engine, encode("Hello"), key=f"k{i}", max_tokens=5).ids
        engine.cancel("big")
    finally:
        os.kill(stopped._process.pid, signal.SIGCONT)
        engine.close()
