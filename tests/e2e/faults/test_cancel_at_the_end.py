"""Clients that cancel just when the last response of their call leaves.

Triton's gRPC locks itself or crashes then, some times in 100,000 such calls (2.51), and goes on to
say that it is ready. Whatever became of it here, the server answers again soon."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from gemma4_client.wire import build_request
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.served import Served
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

SECONDS = 15.0
CALLS = 16
AGAIN_S = 60.0
"""Seconds until the server answers again: 5 until it is given up, and some restarts, each of which
waits twice as long as the one before."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    engine = synthetic_engine(tmp_path / "engine", tokens_per_s=1000, slots=64)
    served = Served(engine, tmp_path / "run", "--restarts", "1000")
    yield served
    assert served.stop() == 0


class Canceller:
    """Learns how long a call takes, and cancels at about that time."""

    def __init__(self, stub: Any, model: str) -> None:
        self._stub = stub
        self._model = model
        self._whole_s = 0.02
        self.cancelled = self.whole = 0

    def start(self) -> Any:
        inputs = {"text_input": "a b c", "max_tokens": random.choice((1, 2))}
        whole = self._model == "gemma4_unary"
        request = build_request(inputs | ({} if whole else {"stream": True}))
        request.model_name = self._model
        return (
            self._stub.ModelInfer(request)
            if whole
            else self._stub.ModelStreamInfer(iter([request]))
        )

    async def go(self, until: float) -> None:
        while time.monotonic() < until:
            began, call = time.monotonic(), self.start()
            reader = asyncio.ensure_future(read(call))
            wait = max(0.0, random.gauss(self._whole_s, 0.25 * self._whole_s))
            await asyncio.wait({reader}, timeout=wait)
            if reader.done() and reader.exception() is None:
                self.whole += 1
                self._whole_s = 0.98 * self._whole_s + 0.02 * (time.monotonic() - began)
            elif reader.done():
                await asyncio.sleep(0.2)  # the server is away
            else:
                self.cancelled += 1
                self._whole_s = min(1.002 * self._whole_s, 0.2)
            call.cancel()
            with suppress(grpc.RpcError, asyncio.CancelledError):
                await reader


async def read(call: Any) -> None:
    if isinstance(call, grpc.aio.UnaryUnaryCall):
        await call
        return
    async for _ in call:
        pass


async def answers_again(canceller: Canceller) -> None:
    end = time.monotonic() + AGAIN_S
    while True:
        call = canceller.start()
        try:
            await asyncio.wait_for(read(call), 3)
            return
        except (grpc.RpcError, asyncio.TimeoutError):
            assert time.monotonic() < end, f"no answer for {AGAIN_S:.0f} s"
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("model", ["engine", "gemma4", "gemma4_unary"])
def test_the_server_answers_again(served: Served, model: str) -> None:
    async def go() -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{served.grpc}") as channel:
            canceller = Canceller(GRPCInferenceServiceStub(channel), model)
            until = time.monotonic() + SECONDS
            await asyncio.gather(*(canceller.go(until) for _ in range(CALLS)))
            for _ in range(8):  # by each thread of Triton's gRPC
                await answers_again(canceller)
            assert canceller.cancelled > 100 and canceller.whole > 100

    asyncio.run(go())
