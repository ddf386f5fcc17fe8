"""Chunks that come on two ways are read in order."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any

import pytest
from gemma4_client.errors import ServerError, StreamOrderError, UnavailableError
from gemma4_client.results import Delta
from gemma4_client.transport import inbox as module
from gemma4_client.transport.inbox import Inbox
from gemma4_client.wire import delta_of
from gemma4_testing.event_loop import in_loop
from gemma4_testing.fakes.fake_triton import chunk


def delta(index: int, finish: str = "") -> Delta:
    return delta_of(chunk(index, finish))


async def rest(inbox: Inbox) -> list[int]:
    found = []
    while (one := await inbox.get()) is not None:
        found.append(one.index)
    return found


@in_loop
async def test_any_order_is_put_right() -> None:
    for order in permutations(range(4)):
        inbox = Inbox()
        for index in order:
            inbox.put(delta(index, "stop" if index == 3 else ""))
        inbox.ended("call")
        inbox.ended("feed")
        assert await rest(inbox) == [0, 1, 2, 3]


@in_loop
async def test_a_reader_waits_for_both_ways() -> None:
    inbox = Inbox()
    reader = asyncio.create_task(rest(inbox))
    for way, index in (("call", 1), ("feed", 0)):
        await asyncio.sleep(0)
        assert not reader.done()
        inbox.put(delta(index))
        inbox.ended(way)
    assert await reader == [0, 1]


@in_loop
async def test_a_chunk_that_comes_twice_is_an_error() -> None:
    inbox = Inbox()
    inbox.put(delta(0))
    inbox.put(delta(0))
    assert (await inbox.get()).index == 0
    with pytest.raises(StreamOrderError, match="chunk 0 arrived twice"):
        await inbox.get()


@in_loop
async def test_a_chunk_that_lacks_ends_the_answer_before_it() -> None:
    inbox = Inbox()
    for index in (0, 2):
        inbox.put(delta(index, "stop" if index == 2 else ""))
    inbox.ended("call")
    inbox.ended("feed")
    assert await rest(inbox) == [0]
    assert not inbox.whole


@in_loop
async def test_chunks_of_a_reader_that_lags_are_put_together() -> None:
    inbox = Inbox()
    inbox.put(delta(0))
    assert (await inbox.get()).ids == [7, 8]
    for index in range(1, 1000):
        inbox.put(delta_of(chunk(index, "stop" if index == 999 else "", text=f"{index} ")))
        assert len(inbox._ready) <= 32
    found: list[Any] = []
    while not found or not found[-1].finish_reason:
        found.append(await inbox.get())
    assert [one.index for one in found] == list(range(1, len(found) + 1))
    assert "".join(one.text for one in found) == "".join(f"{n} " for n in range(1, 1000))
    assert sum(len(one.ids) for one in found) == 2 * 999
    assert found[-1].completion_tokens == 1000 and found[-1].timings == {"queue": 0.1}


@in_loop
async def test_an_error_comes_after_what_was_before_it() -> None:
    inbox = Inbox()
    inbox.put(delta(0))
    inbox.fail(ServerError("lost"))
    inbox.fail(ServerError("later"))
    assert (await inbox.get()).index == 0
    with pytest.raises(ServerError, match="lost"):
        await inbox.get()


@in_loop
async def test_an_error_after_the_last_chunk_is_none() -> None:
    inbox = Inbox()
    inbox.put(delta(0, "stop"))
    inbox.fail(ServerError("lost"))
    inbox.ended("call")
    inbox.ended("feed")
    assert await rest(inbox) == [0]


@pytest.mark.parametrize("came", [delta(0), delta(1, "stop")], ids=["no end", "a gap"])
@in_loop
async def test_a_feed_that_never_brings_what_lacks_is_an_error(
    monkeypatch: pytest.MonkeyPatch, came: Delta
) -> None:
    monkeypatch.setattr(module, "_SILENCE_S", 0.02)
    inbox = Inbox()
    inbox.put(came)
    inbox.ended("call")
    with pytest.raises(UnavailableError, match="did not bring its last chunk"):
        await rest(inbox)


@in_loop
async def test_silence_after_the_whole_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE_S", 0.02)
    inbox = Inbox()
    inbox.ended("call")
    inbox.put(delta(0, "stop"))
    await asyncio.sleep(0.05)
    assert (await inbox.get()).finish_reason == "stop"
