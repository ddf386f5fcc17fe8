"""A process shows since when it waits for Triton, and every model's calls are counted."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from gemma4_runtime.processes.heartbeat import BEAT_S, Heartbeat, read_signs
from gemma4_runtime.processes.triton_calls import Sender, asked, waits_since
from gemma4_testing.waiting import wait_until

ROOT = Path(__file__).parents[3]
MODELS = sorted(
    path
    for folder in ("model_repository", "nvidia_repository")
    for path in (ROOT / folder).rglob("*.py")
)


class Triton:
    """A sender that takes a response when it is told to."""

    def __init__(self) -> None:
        self.takes = Event()
        self.sent: list[tuple[Any, int]] = []

    def send(self, response: Any = None, flags: int = 0) -> None:
        self.sent.append((response, flags))
        assert self.takes.wait(20)

    def is_cancelled(self) -> bool:
        return self.takes.wait(20)


@pytest.mark.parametrize("call", [lambda s: s.send("x", flags=1), lambda s: s.is_cancelled()])
def test_a_call_is_seen_while_it_waits(call: Any) -> None:
    triton, began = Triton(), time.monotonic_ns()
    thread = Thread(target=call, args=(Sender(triton),))
    thread.start()
    wait_until(waits_since, 5)
    assert began <= waits_since() <= time.monotonic_ns()
    triton.takes.set()
    thread.join()
    assert waits_since() == 0


def test_what_is_sent_is_passed_on() -> None:
    triton = Triton()
    triton.takes.set()
    sender = Sender(triton)
    sender.send("x")
    sender.send(flags=1)
    sender.send("y", flags=1)
    assert triton.sent == [("x", 0), (None, 1), ("y", 1)]
    assert sender.is_cancelled()
    assert asked(lambda: 7) == 7


def test_a_call_that_fails_waits_no_more() -> None:
    def fail() -> None:
        raise RuntimeError("closed")

    with pytest.raises(RuntimeError, match="closed"):
        asked(fail)
    assert waits_since() == 0


def test_the_oldest_of_several_threads_counts() -> None:
    first, second = Triton(), Triton()
    threads = [Thread(target=Sender(triton).send) for triton in (first, second)]
    threads[0].start()
    wait_until(waits_since, 5)
    oldest = waits_since()
    threads[1].start()
    wait_until(lambda: second.sent, 5)
    assert waits_since() == oldest
    first.takes.set()
    threads[0].join()
    assert waits_since() > oldest
    second.takes.set()
    threads[1].join()
    assert waits_since() == 0


def test_the_heartbeat_shows_it(tmp_path: Path) -> None:
    def since() -> float:
        signs = read_signs(tmp_path, os.getpid())
        assert signs is not None and time.monotonic() - signs[0] < 20 * BEAT_S
        return signs[1]

    triton = Triton()
    beat = Heartbeat(tmp_path, on_orphan=lambda: None)
    try:
        assert since() == 0
        thread = Thread(target=Sender(triton).send)
        thread.start()
        wait_until(since, 5)
        assert 0 < time.monotonic() - since() < 5
        triton.takes.set()
        thread.join()
        wait_until(lambda: since() == 0, 5)
    finally:
        beat.close()
    assert read_signs(tmp_path, os.getpid()) is None


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parents[1].name)
def test_every_model_counts_its_calls(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("get_response_sender()") == text.count(
        "Sender(request.get_response_sender())"
    )
    assert not re.search(r"(?<!_sender)\.is_cancelled\(\)", text), "ask by asked(...)"
