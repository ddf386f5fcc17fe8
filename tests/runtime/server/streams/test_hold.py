"""Before Triton closes its endpoints feeds end and nothing is sent, and nothing of it is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gemma4_runtime.engines.synthetic import SyntheticEngine
from gemma4_runtime.server.board import Board
from gemma4_runtime.server.streams.emitter import HOLD_S
from gemma4_runtime.server.streams.emitters import Emitters
from gemma4_testing.fakes.stream_recorder import WAIT_S, Recorder, request
from gemma4_testing.waiting import wait_until

SETTLED_S = 0.2
"""For a chunk that was being sent when the hold began."""
Stack = Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]]


def test_nothing_is_sent_while_it_is_held(stack: Stack) -> None:
    emitters, _, board, _ = stack(interval_s=0.005)
    outs = [Recorder(board) for _ in range(8)]
    for number, out in enumerate(outs):
        emitters.open(request(f"k{number}", max_tokens=300), out)
    wait_until(lambda: all(len(out.chunks) > 2 for out in outs), WAIT_S)
    held = time.monotonic()
    emitters.hold()
    time.sleep(SETTLED_S)
    before = [len(out.chunks) for out in outs]
    time.sleep(SETTLED_S)
    after = [len(out.chunks) for out in outs]
    if time.monotonic() < held + HOLD_S:  # else this test was held up itself
        assert after == before
    emitters.resume()
    for out in outs:
        assert out.over.wait(WAIT_S)
        assert [i for c in out.chunks for i in c.ids] == ([600, 601, 602] * 100)[:300]


def test_a_hold_ends_by_itself(stack: Stack) -> None:
    """Nobody has to end it: the supervisor may be gone by then."""
    emitters, _, board, _ = stack()
    emitters.hold()
    begun, out = time.monotonic(), Recorder(board)
    emitters.open(request(max_tokens=3), out)
    assert out.over.wait(WAIT_S)
    assert time.monotonic() - begun > HOLD_S / 2
