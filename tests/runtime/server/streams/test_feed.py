"""Feeds: streams that share responses, and what becomes of them when nobody polls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import pytest
from gemma4_runtime.engines.synthetic import Faults, SyntheticEngine
from gemma4_runtime.errors import Code, RequestError, Status
from gemma4_runtime.server.board import Board
from gemma4_runtime.server.streams import feed as feeds
from gemma4_runtime.server.streams.emitters import Emitters
from gemma4_runtime.server.streams.feed import parse_place
from gemma4_runtime.server.streams.stream import Place
from gemma4_testing.fakes.stream_recorder import WAIT_S, Recorder, request
from gemma4_testing.waiting import wait_until

KEY = "0123456789abcdef" * 2


class Client:
    """Polls a feed as ours does, ``pause`` seconds after it has read enough."""

    def __init__(
        self,
        emitters: Emitters,
        *,
        key: str = KEY,
        responses: int = 4,
        polls: int = 2,
        pause: float = 0.0,
        broken: bool = False,
    ) -> None:
        self.emitters, self.key, self.responses = emitters, key, responses
        self.pause, self.broken, self.gone = pause, broken, False
        self.bundles: list[Any] = []
        self.finals: list[Any] = []
        self.failed: list[Any] = []
        self.ended = Event()
        self._used: Any = SimpleQueue()
        for _ in range(polls):
            self.poll()
        Thread(target=self._again, daemon=True).start()

    def poll(self) -> None:
        self.emitters.poll(self.key, self, self.responses)

    def _again(self) -> None:
        while True:
            self._used.get()
            time.sleep(self.pause)
            self.poll()

    def client_gone(self) -> bool:
        return self.gone

    def answer(self, data: bytes, *, final: bool) -> None:
        if self.broken:
            raise RuntimeError("no such request")
        bundle = json.loads(data)
        self.bundles.append(bundle)
        self.finals.append(final)
        if not bundle:
            self.ended.set()
        elif final:
            self._used.put(None)

    def fail(self, error: RequestError) -> None:
        self.failed.append(error)

    def chunks(self, number: int) -> list[dict[str, Any]]:
        return [outputs for bundle in self.bundles for n, outputs in bundle if n == number]

    def ids(self, number: int) -> list[int]:
        return [i for outputs in self.chunks(number) for i in outputs.get("output_ids", [])]


def opened(
    emitters: Emitters, count: int, *, key: str = KEY, first: int = 0, **options: Any
) -> list[Recorder]:
    outs = []
    for number in range(first, first + count):
        out = Recorder(direct=True)
        emitters.open(request(f"{key[:4]}-{number}", **options), out, Place(key, number))
        outs.append(out)
    return outs


def expected(tokens: int) -> list[int]:
    return ([600, 601, 602] * (tokens // 3 + 1))[:tokens]


def test_streams_share_responses_and_each_is_whole(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitters, _, _board, records = stack(slots=32, interval_s=0.002)
    client = Client(emitters)
    outs = opened(emitters, 32, max_tokens=100)
    assert all(out.over.wait(WAIT_S) for out in outs)
    wait_until(
        lambda: all(
            client.chunks(n)[-1:] and client.chunks(n)[-1].get("finish_reason") for n in range(32)
        ),
        WAIT_S,
    )
    for number, out in enumerate(outs):
        assert out.chunks == [] and out.error is None
        assert client.ids(number) == expected(100)
        indexes = [outputs.get("chunk_index", 0) for outputs in client.chunks(number)]
        assert indexes == list(range(len(indexes)))
        assert client.chunks(number)[-1]["finish_reason"] == "length"
    sent = sum(len(bundle) for bundle in client.bundles)
    assert len(client.bundles) * 5 < sent
    assert all(len({n for n, _ in b}) == len(b) for b in client.bundles)
    assert len(records) == 32


def test_a_poll_takes_as_many_responses_as_it_asks_for(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitters, *_ = stack(interval_s=0.006)
    client = Client(emitters, responses=3)
    (out,) = opened(emitters, 1, max_tokens=30)
    assert out.over.wait(WAIT_S)
    assert client.finals[:9] == [False, False, True] * 3


def test_a_busy_client_gets_more_tokens_at_a_time(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    """And never two chunks of a stream in one response: nothing piles up."""
    emitters, *_ = stack(interval_s=0.001)
    client = Client(emitters, responses=1, polls=1, pause=0.1)
    outs = opened(emitters, 8, max_tokens=500)
    assert all(out.over.wait(WAIT_S) for out in outs)
    assert len(client.bundles) < 30
    assert all(len({n for n, _ in b}) == len(b) for b in client.bundles)
    wait_until(lambda: all(client.ids(n) == expected(500) for n in range(8)), WAIT_S)
    assert max(len(o["output_ids"]) for o in client.chunks(0)) > 40


def test_without_polls_a_stream_goes_its_own_way(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitters, *_ = stack()
    (out,) = opened(emitters, 1, max_tokens=20)
    assert out.over.wait(WAIT_S)
    assert [i for c in out.chunks for i in c.ids] == expected(20)


def test_a_feed_that_begins_later_takes_streams_over(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitters, *_ = stack(interval_s=0.005)
    (out,) = opened(emitters, 1, max_tokens=100)
    wait_until(lambda: len(out.chunks) > 3, WAIT_S)
    client = Client(emitters)
    assert out.over.wait(WAIT_S)
    wait_until(lambda: client.ids(0)[-1:] and client.chunks(0)[-1].get("finish_reason"), WAIT_S)
    assert [i for c in out.chunks for i in c.ids] + client.ids(0) == expected(100)
    assert client.chunks(0)[0]["chunk_index"] == len(out.chunks)


@pytest.mark.parametrize("how", ["silent", "gone"])
def test_a_client_that_stops_polling_loses_the_feed_only(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """What its polls have not taken comes by the streams themselves."""
    monkeypatch.setattr(feeds, "_GONE_S", 0.3)
    emitters, *_ = stack(interval_s=0.005)
    client = Client(emitters, responses=2 if how == "silent" else 64, pause=60)
    client.gone = how == "gone"
    outs = opened(emitters, 4, max_tokens=300)
    assert all(out.over.wait(WAIT_S) for out in outs)
    for number, out in enumerate(outs):
        assert client.ids(number) + [i for c in out.chunks for i in c.ids] == expected(300)
        assert out.chunks[0].index == len(client.chunks(number))
    assert client.ended.is_set() == (how == "gone")


def test_a_response_that_cannot_be_sent_goes_the_streams_own_way(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    """The poll is told that it failed, and no stream loses a token by it."""
    emitters, engine, _, records = stack(interval_s=0.005)
    bad = Client(emitters, key="b" * 32, broken=True)
    good = Client(emitters)
    alone = opened(emitters, 2, key="b" * 32, max_tokens=60)
    shared = opened(emitters, 2, max_tokens=60)
    assert all(out.over.wait(WAIT_S) for out in [*alone, *shared])
    for out in alone:
        assert out.error is None
        assert [c.index for c in out.chunks] == list(range(len(out.chunks)))
        assert [i for c in out.chunks for i in c.ids] == expected(60)
    assert all(error.status is Status.INTERNAL for error in bad.failed) and bad.failed
    assert {error.code for error in bad.failed} == {Code.DELIVERY_FAILED}
    assert good.ids(0) == expected(60)
    wait_until(lambda: len(records) == 4, WAIT_S)
    assert [record.status for record in records] == ["OK"] * 4
    wait_until(lambda: engine.stats().active == 0, WAIT_S)


def test_with_both_ways_broken_a_stream_ends_once(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitters, engine, _, records = stack(interval_s=0.005)
    Client(emitters, key="b" * 32, broken=True)
    out = Recorder(direct=True, broken=True)
    emitters.open(request("x", max_tokens=100_000), out, Place("b" * 32, 0))
    assert out.over.wait(WAIT_S)
    assert out.error.status is Status.INTERNAL
    wait_until(lambda: engine.stats().active == 0, WAIT_S)
    assert [record.status for record in records] == ["INTERNAL"]


def test_an_error_comes_by_the_stream_itself(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitters, *_ = stack(interval_s=0.005, faults=Faults(fail_at=10))
    client = Client(emitters)
    (out,) = opened(emitters, 1, max_tokens=50)
    assert out.over.wait(WAIT_S)
    assert out.error.status is Status.INTERNAL
    assert client.ids(0) == expected(len(client.ids(0)))


def test_a_client_that_leaves_frees_the_slot(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitters, engine, *_ = stack(interval_s=0.002)
    Client(emitters)
    left, stays = opened(emitters, 2, max_tokens=100_000)
    left.gone = True
    assert left.over.wait(0.5)
    assert left.error.status is Status.CANCELLED
    wait_until(lambda: engine.stats().cancelled == 1, WAIT_S)
    assert not stays.over.is_set()


def test_a_client_that_leaves_with_many_streams_frees_all_at_once(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    """One that has gone makes the next one be asked; the streams of others stay."""
    emitters, engine, *_ = stack(slots=80, interval_s=0.01)
    other = opened(emitters, 20, key="d" * 32, max_tokens=100_000)
    Client(emitters)
    left = opened(emitters, 60, max_tokens=100_000)
    wait_until(lambda: engine.stats().active == 80, WAIT_S)
    for out in left:
        out.gone = True
    end = time.monotonic() + 0.5
    assert all(out.over.wait(end - time.monotonic()) for out in left)
    assert not any(out.over.is_set() for out in other)


def test_an_unstreamed_answer_takes_no_feed(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitters, *_ = stack()
    client = Client(emitters)
    (out,) = opened(emitters, 1, max_tokens=20, stream=False)
    assert out.over.wait(WAIT_S)
    assert len(out.chunks) == 1 and client.bundles == []


def test_a_drain_ends_feeds_with_their_last_stream(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitters, *_ = stack(interval_s=0.005)
    idle, busy = Client(emitters, key="c" * 32), Client(emitters)
    (out,) = opened(emitters, 1, max_tokens=60)
    emitters.drain()
    assert idle.ended.wait(WAIT_S)
    assert not out.over.is_set()
    assert out.over.wait(WAIT_S)
    assert busy.ended.wait(WAIT_S)
    assert busy.ids(0) == expected(60)
    assert busy.bundles[-1] == [] and busy.finals[-1]


def test_a_stop_ends_feeds(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    emitters, *_ = stack(interval_s=0.005)
    client = Client(emitters)
    (out,) = opened(emitters, 1, max_tokens=100_000)
    wait_until(lambda: client.bundles, WAIT_S)
    emitters.close()
    assert client.ended.is_set()
    assert out.error.status is Status.UNAVAILABLE


def test_many_tokens_wake_the_emitter_seldom(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """News of a feed that will be looked at anyway is no reason to wake up."""
    emitters, *_ = stack(slots=64, interval_s=0.02)
    client = Client(emitters)
    turns = []
    for emitter in emitters._emitters:
        waited = emitter._wait
        monkeypatch.setattr(
            emitter,
            "_wait",
            lambda timeout, waited=waited: turns.append(1) or waited(timeout),  # type: ignore[func-returns-value]
        )
    outs = opened(emitters, 64, max_tokens=50)
    assert all(out.over.wait(WAIT_S) for out in outs)
    assert sum(len(client.ids(n)) for n in range(64)) == 64 * 50
    assert len(turns) < 64 * 50 / 2


@pytest.mark.parametrize(
    "text",
    ["", "/", "7", KEY, f"{KEY}/", f"{KEY}/-1", f"{KEY}/1/2", f"{KEY}/x", "a" * 31 + "/1",
     "A" * 32 + "/1", "g" * 32 + "/1", "a" * 65 + "/1", f"{KEY}/{10**15}", f"{KEY}/1\n"],
)  # fmt: skip
def test_wrong_places(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_place(text, field="feed")
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert caught.value.message.startswith("feed: ")


def test_a_place() -> None:
    assert parse_place(f"{KEY}/12", field="feed") == Place(KEY, 12)


def test_too_much_is_refused(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emitters, *_ = stack()
    poll: Any = Recorder(direct=True)
    for responses in (0, 65):
        with pytest.raises(RequestError, match=f"{responses} responses must be 1 to 64"):
            emitters.poll(KEY, poll, responses)
    for _ in range(16):
        emitters.poll(KEY, poll, 1)
    with pytest.raises(RequestError, match="16 polls of it wait already") as caught:
        emitters.poll(KEY, poll, 1)
    assert (caught.value.code, caught.value.details) == (Code.FEED_FULL, {"limit": 16})
    monkeypatch.setattr(feeds, "_MOST_FEEDS", 1)
    with pytest.raises(RequestError) as caught:
        for number in range(3):
            emitters.poll(f"{number}" * 32, poll, 1)
    assert caught.value.status is Status.UNAVAILABLE
    assert caught.value.code == Code.TOO_MANY_FEEDS


def test_feeds_end_before_triton_closes_and_their_streams_go_on(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    """Each waiting poll gets an empty bundle, and so does one that was on its way; then nothing is
    sent by the feed any more."""
    emitters, _, _board, _records = stack(slots=16, interval_s=0.005)
    client = Client(emitters)
    outs = opened(emitters, 16, max_tokens=200)
    wait_until(lambda: len(client.bundles) > 5, WAIT_S)
    emitters.hold()
    assert client.ended.wait(WAIT_S)
    wait_until(lambda: client.bundles[-1] == [] and client.finals[-1], WAIT_S)
    late = Client(emitters, polls=1)
    assert late.ended.is_set() and late.finals == [True]
    bundles = len(client.bundles)
    assert client.bundles[-2:].count([]) == len([b for b in client.bundles if not b]) <= 2
    emitters.resume()
    assert all(out.over.wait(WAIT_S) for out in outs)
    assert len(client.bundles) == bundles
    for number, out in enumerate(outs):
        alone = [i for chunk in out.chunks for i in chunk.ids]
        assert alone and client.ids(number) + alone == expected(200)
