"""When streams are asked for their clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_runtime.errors import Status
from gemma4_runtime.server.streams.checks import asks_soon, expiry, to_check
from gemma4_testing.fakes.stream_recorder import request

TICK = 0.05


@dataclass
class Asked:
    """As a stream, for the watch."""

    first_token: float | None = 0.0
    last_check: float = 0.0
    at: list[float] = field(default_factory=list)


def watched(streams: list[Any], seconds: int) -> int:
    """Most streams asked in one turn."""
    most = 0
    for turn in range(1, round(seconds / TICK)):
        now = turn * TICK
        oldest, due = to_check(streams, now, elapsed=TICK)
        assert len(oldest) == len(streams)
        most = max(most, due)
        for stream in oldest[:due]:
            stream.last_check = now
            stream.at.append(now)  # type: ignore[attr-defined]
    return most


@pytest.mark.parametrize("first_token", [0.0, None])
@pytest.mark.parametrize(("count", "most"), [(1, 1), (8, 6), (256, 64), (1000, 251)])
def test_streams_that_began_together_are_asked_in_turns(
    count: int, most: int, first_token: float | None
) -> None:
    streams: list[Any] = [Asked(first_token) for _ in range(count)]
    assert 0 < watched(streams, 3) <= most
    for stream in streams:
        gaps = [b - a for a, b in zip([0.0, *stream.at], stream.at, strict=False)]
        assert max(gaps) < 0.41, "a cancel may take 0.5 s"
        assert min(gaps[1:]) > 0.09


def test_a_late_turn_catches_up() -> None:
    streams: list[Any] = [Asked() for _ in range(100)]
    assert to_check(streams, 2.0, elapsed=2.0)[1] == 100


def test_few_that_wait_for_a_first_token_are_asked_more_often() -> None:
    waiting, running = Asked(first_token=None), Asked()
    watched([waiting, running], 2)
    assert len(waiting.at) > 1.5 * len(running.at)


@pytest.mark.parametrize(
    ("sent", "asked", "direct", "soon"),
    [
        (9.95, 9.85, False, True),  # chunks flow, and the next one asks
        (9.95, 9.79, False, False),  # they flow, but none has asked
        (9.85, 9.85, False, False),  # they do not flow any more
        (float("-inf"), 9.95, False, False),  # none came yet
        (9.95, 9.85, True, False),  # a direct client's ask nothing
    ],
)
def test_who_asks_without_a_question(sent: float, asked: float, direct: bool, soon: bool) -> None:
    stream: Any = SimpleNamespace(
        last_sent=sent, last_check=asked, transport=SimpleNamespace(direct=direct)
    )
    assert asks_soon(stream, 10.0) is soon


def test_expiry() -> None:
    @dataclass
    class Late:
        request: object

    late: Any = Late(request(deadline=10.0, arrival=9.5))
    assert expiry(late, 9.99) is None
    assert expiry(Late(request()), 1e12) is None  # type: ignore[arg-type]
    error = expiry(late, 10.0)
    assert error is not None
    assert error.status is Status.DEADLINE_EXCEEDED
    assert "after 500 ms" in error.message
