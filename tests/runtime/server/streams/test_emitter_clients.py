"""How the emitter learns that a client has left, and what it asks meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from gemma4_runtime.engines.synthetic import SyntheticEngine
from gemma4_runtime.errors import Code, RequestError, Status
from gemma4_runtime.server.board import Board
from gemma4_runtime.server.streams.emitters import Emitters
from gemma4_testing.fakes.stream_recorder import WAIT_S, Recorder, request
from gemma4_testing.waiting import wait_until


def test_who_waits_for_postprocessing_says_something_with_each_question(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, _, board, _ = stack(interval_s=0.001)
    out = Recorder(board, stuck=True)
    emitter.open(request(max_tokens=100_000), out)
    wait_until(lambda: len(out.chunks) > 17, WAIT_S)
    before = len(out.chunks)
    wait_until(lambda: len(out.chunks) >= before + 4, WAIT_S)
    later = out.chunks[before : before + 4]
    assert all(chunk.ids and not chunk.probe for chunk in later)
    assert any(chunk.check for chunk in later)
    shown = [chunk.index for chunk in out.chunks if not chunk.probe]
    assert shown == list(range(len(shown)))


def probes(out: Recorder) -> int:
    return sum(c.probe and c.check for c in out.chunks)


def test_probes_are_rarer_when_many_wait(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    """Before its first token a stream is asked more often, unless many wait for theirs."""
    emitter, _, board, _ = stack(
        slots=16, prefill_s_per_1k=200.0
    )  # 0.6 s before the first of 3 tokens
    counts = {}
    for many in (1, 16):
        outs = [Recorder(board) for _ in range(many)]
        for index, out in enumerate(outs):
            emitter.open(request(key=f"{many}-{index}", max_tokens=1), out)
        assert all(out.over.wait(WAIT_S) for out in outs)
        counts[many] = sum(map(probes, outs)) / many
    assert counts[1] > 1.3 * counts[16] > 0


def test_probes_while_nothing_comes(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, _, board, _ = stack(interval_s=0.6)
    out = Recorder(board)
    emitter.open(request(max_tokens=1), out)
    assert out.over.wait(WAIT_S)
    assert sum(c.probe and c.check for c in out.chunks) >= 2


def test_a_direct_client_is_asked_and_gets_no_probe(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    """Neither in a wait nor on chunks."""
    emitter, _, board, records = stack(interval_s=0.3)
    out = Recorder(board, direct=True)
    emitter.open(request(max_tokens=4), out)
    assert out.over.wait(WAIT_S)
    assert 3 <= out.asked <= records[0].total_s / 0.1
    assert not any(c.probe or c.check for c in out.chunks)
    assert [i for c in out.chunks for i in c.ids] == [600, 601, 602, 600]


@pytest.mark.parametrize("interval_s", [0.002, 30.0])
def test_a_direct_client_that_leaves_frees_the_slot(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]], interval_s: float
) -> None:
    emitter, engine, board, records = stack(interval_s=interval_s)
    out = Recorder(board, direct=True)
    emitter.open(request(max_tokens=100_000), out)
    out.gone = True
    assert out.over.wait(0.5)
    assert out.error.status is Status.CANCELLED
    assert out.error.code == records[0].code == Code.CLIENT_CANCELLED
    wait_until(lambda: not engine.stats().active, WAIT_S, every=0.001)
    assert engine.stats().cancelled == 1
    assert records[0].status == "CANCELLED"


def test_a_client_that_cannot_be_asked_ends_its_stream_only(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, engine, board, records = stack(interval_s=0.005)
    bad, good = Recorder(board, direct=True), Recorder(board, direct=True)
    emitter.open(request("bad", max_tokens=100_000), bad)
    emitter.open(request("good", max_tokens=100), good)
    bad.gone = "broken"
    assert good.over.wait(WAIT_S)
    assert good.error is None
    wait_until(lambda: len(records) >= 2, WAIT_S, every=0.001)
    (record,) = (r for r in records if r.key == "bad")
    assert record.status == "INTERNAL" and "no such client" in record.message
    assert engine.stats().active == 0


def test_postprocessing_holds_no_direct_stream_back(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, _, board, _ = stack(interval_s=0.002)
    stuck, direct = Recorder(board, stuck=True), Recorder(board, direct=True)
    emitter.open(request("stuck", max_tokens=100_000), stuck)
    wait_until(lambda: len(stuck.chunks) >= 17, WAIT_S, every=0.001)
    emitter.open(request("direct", max_tokens=100), direct)
    assert direct.over.wait(WAIT_S)
    assert len(direct.chunks) > 12


ENDS: dict[str, Callable[[Emitters], None]] = {
    "CANCELLED": lambda emitter: emitter.cancel("k"),
    "DEADLINE_EXCEEDED": lambda emitter: None,
    "INTERNAL": lambda emitter: emitter.abort_all(RequestError(Code.ENGINE_LOST, "it is lost")),
}


@pytest.mark.parametrize("status", ENDS)
@pytest.mark.parametrize("stuck", [False, True])
def test_an_error_goes_behind_the_chunks_that_postprocessing_has(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
    status: str,
    stuck: bool,
) -> None:
    """An ensemble ends with the first error of a step, and takes nothing after it."""
    emitter, engine, board, records = stack(interval_s=0.002)
    out = Recorder(board, stuck=stuck)
    now = time.monotonic()
    late: dict[str, Any] = {}
    if status == "DEADLINE_EXCEEDED":
        late = {"deadline": now + 0.3, "arrival": now}
    emitter.open(request(max_tokens=100_000, **late), out)
    wait_until(lambda: len(out.chunks) > 3, WAIT_S)
    ENDS[status](emitter)
    assert out.over.wait(WAIT_S)
    assert out.error.status.value == records[0].status == status
    assert out.error_after == len(out.chunks) > 3
    wait_until(lambda: not engine.stats().active, WAIT_S, every=0.001)


def test_an_error_before_all_chunks_is_the_engine_steps_own(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, _, board, _ = stack(slots=1, max_queued=0, interval_s=0.01)
    first, second = Recorder(board), Recorder(board)
    emitter.open(request("first", max_tokens=1000), first)
    with suppress(RequestError):
        emitter.open(request("second"), second)
        assert second.over.wait(WAIT_S)
    assert second.error_after is None and not second.chunks
    emitter.cancel("first")
    assert first.over.wait(WAIT_S)
