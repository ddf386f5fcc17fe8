"""AsyncClient on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gemma4_client import (
    AsyncClient,
    CancelledError,
    DeadlineExceededError,
    InvalidRequestError,
)
from gemma4_runtime.server.board import Field
from gemma4_testing.event_loop import in_loop
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until

CANCEL_S = 0.5
LONG = {"min_tokens": 1900, "max_tokens": 1900}
ASK = "What is the capital of France?"


@pytest.fixture
def url(server: Served) -> str:
    return f"127.0.0.1:{server.grpc}"


@in_loop
async def test_streamed_equals_whole_equals_sync(server: Served, url: str) -> None:
    with server.client() as sync:
        expected = sync.chat(user(ASK), top_k=1).result()
    async with AsyncClient(url) as client:
        assert await client.ready()
        stream = client.chat(user(ASK), top_k=1)
        text = ""
        async with stream:
            async for delta in stream:
                text += delta.text
        whole = await client.chat(user(ASK), top_k=1, stream=False).result()
    assert text == expected.text == whole.text == stream.answer.text
    assert whole.usage == expected.usage


@in_loop
async def test_many_at_once(url: str) -> None:
    async with AsyncClient(url) as client:
        streams = [client.chat(user(ASK), top_k=1) for _ in range(30)]
        answers = await asyncio.gather(*(stream.result() for stream in streams))
    assert len({answer.text for answer in answers}) == 1


async def begun(client: AsyncClient, **options: Any) -> tuple[Any, AsyncIterator[Any]]:
    stream = client.chat(user("Count from 1 to 100"), **LONG, **options)
    iterator = aiter(stream)
    await anext(iterator)
    return stream, iterator


@in_loop
async def test_cancel_frees_the_slot(server: Served, url: str) -> None:
    async with AsyncClient(url) as client:
        stream, iterator = await begun(client)
        stream.cancel()
        await asyncio.to_thread(wait_until, server.idle, CANCEL_S)
        with pytest.raises(CancelledError):
            async for _ in iterator:
                pass


@in_loop
async def test_leaving_the_loop_or_the_block_frees_the_slot(server: Served, url: str) -> None:
    async with AsyncClient(url) as client:
        async for _ in client.chat(user("x"), **LONG):
            break
        await asyncio.to_thread(wait_until, server.idle, CANCEL_S)
        async with client.chat(user("x"), **LONG) as stream:
            async for _ in stream:
                await asyncio.to_thread(
                    wait_until, lambda: server.board()[Field.ACTIVE] == 1, CANCEL_S
                )
                break
        await asyncio.to_thread(wait_until, server.idle, CANCEL_S)


@in_loop
async def test_a_cancelled_task_frees_the_slot(server: Served, url: str) -> None:
    async with AsyncClient(url) as client:
        task = asyncio.create_task(client.chat(user("x"), **LONG).result())
        await asyncio.to_thread(wait_until, lambda: server.board()[Field.ACTIVE] == 1, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(wait_until, server.idle, CANCEL_S)


@in_loop
async def test_errors_and_deadlines(server: Served, url: str) -> None:
    async with AsyncClient(url) as client:
        with pytest.raises(InvalidRequestError, match="max_tokens"):
            await client.chat(user("x"), max_tokens=0).result()
        with pytest.raises(DeadlineExceededError):
            await client.chat(user("x"), timeout=0.2, **LONG).result()
        await asyncio.to_thread(wait_until, server.idle, CANCEL_S)
