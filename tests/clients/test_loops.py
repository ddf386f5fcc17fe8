"""AsyncClient and event loops."""

from __future__ import annotations

import asyncio

import pytest
from gemma4_client import AsyncClient
from gemma4_testing.fakes.fake_triton import Script, server_of, whole


def test_made_outside_used_in_one_loop_refused_in_another() -> None:
    async def ask() -> str:
        return (await client.chat("hi").result()).text

    with server_of("grpc", Script(whole())) as (url, _):
        client = AsyncClient(url)
        assert asyncio.run(ask()) == "hello!"
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(ask())
        with pytest.raises(RuntimeError, match="no running event loop"):
            client.chat("hi")
