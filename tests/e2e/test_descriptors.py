"""Connections whose requests failed leave no descriptor in Triton."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from gemma4_client import AsyncClient, Client, Gemma4Error
from gemma4_testing.servers.process_tree import find_process
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until


def descriptors(server: Served) -> int:
    triton: int = find_process(server.process.pid, lambda p: p.name() == "tritonserver").num_fds()
    return triton


async def refused(port: int) -> None:
    """Several requests of a connection, all refused by the engine step."""
    async with AsyncClient(f"127.0.0.1:{port}", retry=None, breaker=None) as client:
        for _ in range(5):
            with suppress(Gemma4Error):
                await client.chat(user("x"), max_tokens=-1).result()


def refused_while_blocking(port: int) -> None:
    with Client(f"127.0.0.1:{port}", retry=None, breaker=None) as client:
        for _ in range(5):
            with suppress(Gemma4Error):
                client.chat(user("x"), max_tokens=-1).result()


def test_of_the_asyncio_client(server: Served) -> None:
    async def many() -> None:
        for _ in range(10):
            await asyncio.gather(*(refused(server.grpc) for _ in range(12)))

    before = descriptors(server)
    asyncio.run(many())
    wait_until(lambda: descriptors(server) <= before + 2, 10)


def test_of_the_blocking_client(server: Served) -> None:
    before = descriptors(server)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(refused_while_blocking, [server.grpc] * 120))
    wait_until(lambda: descriptors(server) <= before + 2, 10)
