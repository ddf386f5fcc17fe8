"""A frozen process is told from a busy one, a starved one and a supervisor that slept."""

from __future__ import annotations

from typing import Any

import pytest
from gemma4_serve.liveness import FROZEN_S, STUCK_S, Liveness

TURN_S = 0.2


class Watched:
    """A process whose threads have given states, and whose last beat was at 0 s."""

    def __init__(self, states: Any, *, beat: float | None = 0.0, beats: bool = True) -> None:
        self.states, self.beat = states, beat
        self.alive = Liveness(
            1, beat=(lambda: self.beat) if beats else None, states=lambda pid: self.states
        )
        for turn in range(-20, 1):  # known to be well for a while
            if beats and beat is not None:
                self.beat = turn * TURN_S
            found, self.states = self.states, frozenset("S")
            assert self.alive.look(turn * TURN_S) is None
            self.states = found

    def reason(self) -> str | None:
        for number in range(1, 200):
            if still := self.alive.look(number * TURN_S):
                return still.reason
        return None

    def given_up_after(self, seconds: float, *, turn: float = TURN_S) -> Any:
        count = int(seconds / turn)
        for number in range(1, count + 1):
            if self.alive.look(number * turn):
                return number * turn
        return None


@pytest.mark.parametrize("states", [frozenset("T"), frozenset("t"), frozenset("S")])
def test_a_frozen_process_is_given_up_within_two_seconds(states: Any) -> None:
    assert FROZEN_S < Watched(states).given_up_after(30) <= 1.8


def test_a_stopped_process_that_never_beats() -> None:
    assert FROZEN_S < Watched(frozenset("T"), beats=False).given_up_after(30) <= 1.8
    assert Watched(frozenset("S"), beats=False).given_up_after(300) is None


@pytest.mark.parametrize("states", [frozenset("R"), frozenset("RS"), frozenset("DS")])
def test_a_busy_process_gets_longer(states: Any) -> None:
    assert STUCK_S < Watched(states).given_up_after(60) <= STUCK_S + 1


@pytest.mark.parametrize(
    ("states", "reason"), [("T", "frozen"), ("S", "frozen"), ("R", "stuck"), ("DS", "stuck")]
)
def test_the_reason_that_restarts_are_counted_by(states: str, reason: str) -> None:
    assert Watched(frozenset(states)).reason() == reason


def test_a_short_stop_costs_nothing() -> None:
    watched = Watched(frozenset("T"))
    assert watched.given_up_after(1.0) is None
    watched.states, watched.beat = frozenset("S"), 1.0
    assert watched.alive.look(1.2) is None


def test_a_busy_moment_counts() -> None:
    """Its threads sleep when looked at, but for one time."""
    watched = Watched(frozenset("S"))
    for number in range(1, 30):
        watched.states = frozenset("R") if number % 3 == 0 else frozenset("S")
        assert watched.alive.look(number * TURN_S) is None


def test_one_that_has_not_beaten_yet() -> None:
    assert Watched(frozenset("S"), beat=None).given_up_after(60) is None


def test_a_supervisor_that_was_paused_itself_waits_for_news() -> None:
    watched = Watched(frozenset("S"))
    assert watched.alive.look(100.0) is None
    assert watched.alive.look(100.2) is None
    watched.beat = 100.3
    assert watched.alive.look(100.4) is None
    later = Watched(frozenset("S"))
    assert later.alive.look(100.0) is None
    found = [number for number in range(40) if later.alive.look(100 + number * TURN_S)]
    assert 1.0 < found[0] * TURN_S < 4.0


def test_a_process_that_is_gone_is_none_that_stands_still() -> None:
    assert Watched(frozenset(), beats=False).given_up_after(60) is None
