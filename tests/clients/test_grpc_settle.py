"""Closing waits for what gRPC still has to say about the calls that it cancels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from gemma4_client.transport.grpc_settle import calls_settled
from gemma4_testing.event_loop import in_loop


class Endless(grpc.GenericRpcHandler):
    def service(self, _: Any) -> grpc.RpcMethodHandler:
        async def answer(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
            async for request in requests:
                yield request
                await asyncio.sleep(60)

        return grpc.stream_stream_rpc_method_handler(answer)


async def begun(channel: grpc.aio.Channel) -> grpc.aio.StreamStreamCall:
    call = channel.stream_stream("/any/method")()
    await call.write(b"x")
    assert await call.read() == b"x"
    return call


def of_calls() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if "status" in task.get_coro().__qualname__}


@pytest.fixture
def server() -> Callable[[], Awaitable[tuple[str, grpc.aio.Server]]]:
    """Returns the address of a server in the running loop, and what stops it."""

    async def start() -> tuple[str, grpc.aio.Server]:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((Endless(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return f"127.0.0.1:{port}", server

    return start


@in_loop
async def test_it_waits_for_cancelled_calls(
    server: Callable[[], Awaitable[tuple[str, grpc.aio.Server]]],
) -> None:
    address, running = await server()
    async with grpc.aio.insecure_channel(address) as channel:
        calls = [await begun(channel) for _ in range(20)]
        assert len(of_calls()) == 20
        for call in calls:
            call.cancel()
        assert all(call.done() for call in calls)
        assert of_calls()
        await calls_settled()
        assert not of_calls()
    await running.stop(0)


@in_loop
async def test_it_does_not_wait_for_ever(
    server: Callable[[], Awaitable[tuple[str, grpc.aio.Server]]],
) -> None:
    address, running = await server()
    async with grpc.aio.insecure_channel(address) as channel:
        call = await begun(channel)
        await asyncio.wait_for(calls_settled(), 20)
        assert not call.done()
    await running.stop(0)
