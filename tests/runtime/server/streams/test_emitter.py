"""The emitter against the synthetic engine and a transport that records."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Never

import pytest
from gemma4_runtime.engines.synthetic import SyntheticEngine
from gemma4_runtime.errors import Code, RequestError, Status
from gemma4_runtime.messages import Chunk
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.server.board import Board, Field
from gemma4_runtime.server.streams import emitter as emitter_module
from gemma4_runtime.server.streams.emitters import Emitters
from gemma4_testing.fakes.stream_recorder import WAIT_S, Recorder, request
from gemma4_testing.waiting import wait_until


def test_a_stream_is_whole_and_ordered(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, _, board, records = stack()
    out = Recorder(board)
    emitter.open(request(), out)
    assert out.over.wait(WAIT_S)
    shown = [c for c in out.chunks if not c.probe]
    assert [c.index for c in shown] == list(range(len(shown)))
    assert [i for c in shown for i in c.ids] == ([600, 601, 602] * 17)[:50]
    assert shown[-1].finish_reason == "length"
    assert shown[-1].timings.keys() == {"queue", "prefill", "decode", "cached_tokens"}  # type: ignore[union-attr]
    assert records[0].completion_tokens == 50 and records[0].status == "OK"
    assert board[Field.IN_FLIGHT] == 0


def test_chunks_of_a_stream_keep_their_pace(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    """The first token goes out at once; those that follow within the pace share a chunk, and the
    look for a client that has gone rides on one of them."""
    emitter, _, board, records = stack(interval_s=0.004)
    for one in emitter._emitters:
        one._pace_s = 0.15
    out = Recorder(board)
    emitter.open(request(max_tokens=100), out)
    assert out.over.wait(WAIT_S)
    assert len(out.chunks[0].ids) <= 3
    most = 2 + records[0].total_s / 0.15
    assert len([c for c in out.chunks if not c.probe]) <= most
    assert any(c.check and not c.probe for c in out.chunks)
    assert [i for c in out.chunks for i in c.ids] == ([600, 601, 602] * 34)[:100]


def test_unstreamed_is_one_chunk(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, _, board, _ = stack()
    out = Recorder(board)
    emitter.open(request(stream=False), out)
    assert out.over.wait(WAIT_S)
    assert len([c for c in out.chunks if not c.probe]) == 1


def test_a_lagging_consumer_gets_several_tokens_at_once(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    """Chunks that are not handled hold the next back; nothing is lost, and nothing queues up."""
    emitter, _, board, _ = stack(interval_s=0.0005)
    board[Field.CHUNKS_HANDLED] = 0
    out = Recorder(board, stuck=True)
    emitter.open(request(max_tokens=400), out)
    assert out.over.wait(WAIT_S)
    shown = [c for c in out.chunks if not c.probe]
    assert [i for c in shown for i in c.ids] == ([600, 601, 602] * 134)[:400]
    assert len(shown) < 150
    assert max(len(c.ids) for c in shown) > 5


@pytest.mark.parametrize("emitters", [1, 2])
def test_a_lagging_consumer_is_shared_fairly_and_gets_no_queue(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]], emitters: int
) -> None:
    """Eight streams that all have something to send, and room for one more chunk at a time: those of
    an emitter take turns. How they share the room of the beginning depends on when each of them was
    opened; each emitter may take the last room that both see."""
    emitter, _, board, _ = stack(interval_s=0.001)
    taking = emitter._emitters[:emitters]
    keys = [key for key in map("k{}".format, range(100)) if emitter._of(key) in taking][:8]
    outs = [Recorder(board, stuck=True) for _ in keys]
    for key, out in zip(keys, outs, strict=True):
        emitter.open(request(key=key, max_tokens=100_000), out)

    def shown() -> list[int]:
        return [sum(not c.probe for c in out.chunks) for out in outs]

    def all_sent() -> int:
        return sum(len(out.chunks) for out in outs)

    def all_wait() -> bool:
        waiting = sum(len(one._held) for one in taking)
        return waiting == len(outs) and all_sent() > board[Field.CHUNKS_HANDLED] + 16

    wait_until(all_wait, WAIT_S, every=0.0005)
    before = shown()
    for _ in range(200):
        wait_until(all_wait, WAIT_S, every=0.0005)
        board[Field.CHUNKS_HANDLED] += 1
    wait_until(all_wait, WAIT_S, every=0.0005)
    for one in taking:
        counts = [
            now - then
            for key, now, then in zip(keys, shown(), before, strict=True)
            if emitter._of(key) is one
        ]
        assert max(counts) - min(counts) <= 3  # one of them may have been said with a question
    asked = sum(chunk.check for out in outs for chunk in out.chunks)
    assert all_sent() - board[Field.CHUNKS_HANDLED] <= 16 + emitters + asked
    assert min(shown()) > 15


def test_a_lost_count_does_not_hold_streams_for_ever(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    """Chunks that postprocessing never counts: one a second goes out, and the count starts anew."""
    emitter, _, board, _ = stack(interval_s=0.002)
    out = Recorder(board, stuck=True)
    emitter.open(request(max_tokens=100_000), out)
    wait_until(lambda: sum(not c.probe for c in out.chunks) >= 30, WAIT_S, every=0.005)
    assert sum(not c.probe for c in out.chunks) >= 30


def test_a_stop_string_ends_the_engines_work(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]], table: TokenTable
) -> None:
    emitter, engine, board, _ = stack()
    text = (table.pieces[600] + table.pieces[601]).decode(errors="replace")
    out = Recorder(board)
    emitter.open(request(max_tokens=100_000, stop=(text,)), out)
    assert out.over.wait(WAIT_S)
    assert out.chunks[-1].finish_reason == "stop"
    assert out.error is None
    assert engine.stats().active == 0


def test_cancel_and_deadline(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, engine, board, _ = stack(interval_s=0.01)
    for out, options, status in (
        (Recorder(board), {}, Status.CANCELLED),
        (
            Recorder(board),
            {"deadline": time.monotonic() + 0.1, "arrival": time.monotonic()},
            Status.DEADLINE_EXCEEDED,
        ),
    ):
        emitter.open(request(f"k{id(out)}", max_tokens=10_000, **options), out)
        if status is Status.CANCELLED:
            emitter.cancel(f"k{id(out)}")
        assert out.over.wait(WAIT_S)
        assert out.error.status is status
    emitter.cancel("unknown")
    wait_until(lambda: engine.stats().cancelled >= 2, WAIT_S, every=0.001)
    assert engine.stats().active == 0


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_a_step_of_the_wall_clock_expires_nothing(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
    monkeypatch: pytest.MonkeyPatch,
    step: float,
) -> None:
    emitter, _, board, _ = stack(interval_s=0.005)
    wall = time.time
    now = time.monotonic()
    out, late = Recorder(board), Recorder(board)
    emitter.open(request("a", deadline=now + 60, arrival=now), out)
    monkeypatch.setattr(time, "time", lambda: wall() + step)
    emitter.open(request("b", max_tokens=10_000, deadline=now + 0.2, arrival=now), late)
    assert out.over.wait(WAIT_S) and late.over.wait(WAIT_S)
    assert out.error is None and sum(len(c.ids) for c in out.chunks) == 50
    assert late.error.status is Status.DEADLINE_EXCEEDED


def test_an_engine_that_cancels_unasked_is_named(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, engine, board, records = stack(interval_s=0.01)
    emitter.open(request("a", max_tokens=10_000), out := Recorder(board))
    engine.cancel("a")
    assert out.over.wait(WAIT_S)
    assert out.error is not None
    assert out.error.status is Status.CANCELLED
    assert out.error.code == records[0].code == Code.ENGINE_CANCELLED


def test_refusals_and_broken_transports_end_once(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, engine, board, records = stack(slots=1, max_queued=0, interval_s=0.01)
    running, refused = Recorder(board), Recorder(board)
    emitter.open(request("a", max_tokens=10_000), running)
    emitter.open(request("b"), refused)
    assert refused.error.status is Status.UNAVAILABLE
    emitter.open(request("a"), again := Recorder(board))
    assert again.error.status is Status.INVALID_ARGUMENT
    emitter.abort_all(RequestError(Code.SERVER_STOPPED, "stopping"))
    assert running.over.wait(WAIT_S)
    assert running.error.message == "stopping"
    assert [r.code for r in records] == [
        Code.QUEUE_FULL,
        Code.DUPLICATE_REQUEST,
        Code.SERVER_STOPPED,
    ]
    wait_until(lambda: not engine.stats().active, WAIT_S, every=0.001)
    emitter.open(request("c", max_tokens=10_000), Recorder(board, broken=True))
    wait_until(lambda: len(records) >= 4, WAIT_S, every=0.001)
    assert records[-1].status == "INTERNAL" and "no such request" in records[-1].message
    assert records[-1].code == Code.DELIVERY_FAILED


class Faulty(Recorder):
    """A client's way of which one part breaks."""

    def __init__(self, board: Board, part: str, error: Exception, *, direct: bool) -> None:
        super().__init__(board, direct=direct)
        self.part, self.broke = part, error

    def _at(self, part: str) -> None:
        if part == self.part:
            raise self.broke

    def send(self, chunk: Chunk, *, final: bool) -> None:
        self._at("send")
        if final:
            self._at("send the last")
        super().send(chunk, final=final)

    def fail(self, error: RequestError) -> None:
        super().fail(error)
        self._at("fail")

    def client_gone(self) -> bool:
        self._at("client_gone")
        return super().client_gone()


ERRORS = [ValueError("4300 digits"), OverflowError("64 bits"), KeyError("k"), MemoryError()]
PARTS = ["send", "send the last", "fail", "push", "pending", "take", "finish"]


@pytest.mark.parametrize(
    ("part", "direct"),
    [*((part, direct) for part in PARTS for direct in (True, False)), ("client_gone", True)],
)
def test_what_breaks_in_one_stream_ends_that_stream_only(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    direct: bool,
) -> None:
    """Its client gets one error, the streams beside it get all, and so do those that follow."""
    emitter, engine, board, records = stack(slots=16, interval_s=0.003)

    for number, error in enumerate(ERRORS):
        beside = Recorder(board, direct=direct)
        emitter.open(request(f"beside{number}", max_tokens=60), beside)
        bad = Faulty(board, part, error, direct=direct)
        with monkeypatch.context() as patch:
            if hasattr(StreamAssembler, part):
                patch.setattr(
                    emitter_module, "StreamAssembler", _assembler_that_breaks(part, error)
                )
            emitter.open(request("bad", max_tokens=100_000 if part == "client_gone" else 60), bad)
        if part == "fail":
            emitter.cancel("bad")
        assert bad.over.wait(WAIT_S)
        assert bad.error is not None
        assert bad.error.status is (Status.CANCELLED if part == "fail" else Status.INTERNAL)
        assert beside.over.wait(WAIT_S)
        assert [i for c in beside.chunks for i in c.ids] == ([600, 601, 602] * 20)[:60]
    wait_until(lambda: not (engine.stats().active or len(records) < 8), WAIT_S, every=0.001)
    assert engine.stats().active == 0 and board[Field.IN_FLIGHT] == 0
    assert sorted(record.status for record in records) == ["INTERNAL"] * 4 + ["OK"] * 4


def _assembler_that_breaks(part: str, error: Exception) -> type[StreamAssembler]:
    def broken(self: StreamAssembler, *arguments: Any, **options: Any) -> Never:
        raise error

    return type("Broken", (StreamAssembler,), {part: broken})


def test_many_streams_advance_together(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitter, _, board, _ = stack(slots=64, interval_s=0.002)
    outs = [Recorder(board) for _ in range(64)]
    for i, out in enumerate(outs):
        emitter.open(request(f"s{i}", max_tokens=60), out)
    assert all(out.over.wait(WAIT_S) for out in outs)
    assert all(sum(len(c.ids) for c in out.chunks) == 60 for out in outs)
