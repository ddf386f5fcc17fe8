"""Chunks that come on two ways are read in order."""

from __future__ import annotations

import asyncio
from itertools import permutations

import pytest
from clients.fakes import chunk
from gemma4_client.errors import ServerError, UnavailableError
from gemma4_client.transport import inbox as module
from gemma4_client.transport.inbox import Inbox
from gemma4_client.wire import delta_of
from loops import in_loop


def delta(index, finish=""):
    return delta_of(chunk(index, finish))


async def rest(inbox):
    found = []
    while (one := await inbox.get()) is not None:
        found.append(one.index)
    return found


@in_loop
async def test_any_order_is_put_right():
    for order in permutations(range(4)):
        inbox = Inbox()
        for index in order:
            inbox.put(delta(index, "stop" if index == 3 else ""))
        inbox.ended("call")
        inbox.ended("feed")
        assert await rest(inbox) == [0, 1, 2, 3]


@in_loop
async def test_a_reader_waits_for_both_ways():
    inbox = Inbox()
    reader = asyncio.create_task(rest(inbox))
    for way, index in (("call", 1), ("feed", 0)):
        await asyncio.sleep(0)
        assert not reader.done()
        inbox.put(delta(index))
        inbox.ended(way)
    assert await reader == [0, 1]


@in_loop
async def test_a_chunk_that_lacks_or_comes_twice_is_left_to_the_check_of_the_order():
    inbox = Inbox()
    for index in (0, 0, 2):
        inbox.put(delta(index))
    inbox.ended("call")
    inbox.ended("feed")
    assert await rest(inbox) == [0, 0]


@in_loop
async def test_an_error_comes_after_what_was_before_it():
    inbox = Inbox()
    inbox.put(delta(0))
    inbox.fail(ServerError("lost"))
    inbox.fail(ServerError("later"))
    assert (await inbox.get()).index == 0
    with pytest.raises(ServerError, match="lost"):
        await inbox.get()


@in_loop
async def test_an_error_after_the_last_chunk_is_none():
    inbox = Inbox()
    inbox.put(delta(0, "stop"))
    inbox.fail(ServerError("lost"))
    inbox.ended("call")
    inbox.ended("feed")
    assert await rest(inbox) == [0]


@in_loop
async def test_a_feed_that_never_brings_the_end_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "_SILENCE_S", 0.02)
    inbox = Inbox()
    inbox.put(delta(0))
    inbox.ended("call")
    assert (await inbox.get()).index == 0
    with pytest.raises(UnavailableError, match="did not bring its last chunk"):
        await inbox.get()


@in_loop
async def test_silence_after_the_whole_answer_is_none(monkeypatch):
    monkeypatch.setattr(module, "_SILENCE_S", 0.02)
    inbox = Inbox()
    inbox.ended("call")
    inbox.put(delta(0, "stop"))
    await asyncio.sleep(0.05)
    assert (await inbox.get()).finish_reason == "stop"
