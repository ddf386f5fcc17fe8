"""A response that Triton never takes is told from a slow one and from a machine that stood still."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_serve.children import Children, Loss
from gemma4_serve.triton_wait import WAIT_S, TritonWait

TURN_S = 0.2


class Watched:
    """A process that has called Triton at 0 s, and beats."""

    def __init__(self) -> None:
        self.now = 0.0
        self.since: float | None = 0.001
        self.beat: float | None = None  # now

    def signs(self) -> tuple[float, float] | None:
        return None if self.since is None else (self.beat or self.now, self.since)

    def looks(self, wait: TritonWait, seconds: float, turn: float = TURN_S) -> Any:
        for _ in range(round(seconds / turn)):
            self.now += turn
            if waited := wait.look(self.now, self.signs()):
                return waited
        return None


@pytest.fixture
def process() -> Watched:
    return Watched()


@pytest.fixture
def wait() -> TritonWait:
    return TritonWait()


def test_a_response_that_is_never_taken(process: Watched, wait: TritonWait) -> None:
    assert process.looks(wait, WAIT_S) is None
    assert WAIT_S < process.looks(wait, 1) < WAIT_S + 1


def test_others_that_are_taken(process: Watched, wait: TritonWait) -> None:
    """Each call is another one, however many there are."""
    for _ in range(50):
        assert process.looks(wait, WAIT_S - 1) is None
        process.since = process.now


def test_no_call(process: Watched, wait: TritonWait) -> None:
    process.since = 0.0
    assert process.looks(wait, 60) is None
    process.since = None
    assert process.looks(wait, 60) is None


def test_a_process_that_gives_no_sign_is_not_blamed_on_triton(
    process: Watched, wait: TritonWait
) -> None:
    """Its word is old: it may have been taken since. Others look at such a process."""
    process.beat = 0.5
    assert process.looks(wait, 60) is None


@pytest.mark.parametrize("pause", [10.0, 3600.0])
def test_a_machine_that_stood_still(process: Watched, wait: TritonWait, pause: float) -> None:
    """The process has not come to say that its response was taken."""
    assert process.looks(wait, 1) is None
    assert process.looks(wait, pause, turn=pause) is None
    process.since = 0.0
    assert process.looks(wait, 60) is None


def test_the_server_is_given_up_and_the_model_named(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Watched()
    signs = {2: lambda: None, 3: process.signs}
    monkeypatch.setattr("gemma4_serve.children.read_signs", lambda _, pid: signs[pid]())
    monkeypatch.setattr("gemma4_serve.children.name_of", {1: "tritonserver", 3: "post"}.__getitem__)
    children: Any = object.__new__(Children)
    children._alive, children._next_search = {}, float("inf")
    children._server = SimpleNamespace(pid=1)
    children._run_dir, children._waits = None, {2: TritonWait(), 3: TritonWait()}
    losses: list[Loss] = []
    while not losses and process.now < 60:
        process.now += TURN_S
        losses += filter(None, [children.still(process.now)])
    (loss,) = losses
    assert (loss.process, loss.pid, loss.reason) == ("tritonserver", 1, "stuck")
    assert loss.cause.startswith("did not answer post for 5.")
