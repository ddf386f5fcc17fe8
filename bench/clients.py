"""gemma4_client against bare tritonclient on gRPC: one server, one run, alternating.

Closed loop on the synthetic engine: N streams ask one after another for ``--tokens`` tokens each,
for ``--seconds``. The bare side does the least that a caller needs: it reads ``text_output`` of each
response and looks for the final flag. Ours gives whole deltas, in checked order. Blocking:
tritonclient has one stream for each client object, so N threads use N of them, each kept for all of
its requests; ours is one Client for N threads. Asyncio: one client each, N tasks. Prints tokens/s
(medians over the rounds) and their ratio, and CPU seconds of this process for 1,000 responses.
"""

from __future__ import annotations

import argparse
import asyncio
import queue
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from gemma4_client import AsyncClient, Client
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.served import Served

PROMPT = "Count from one to one hundred, please."


@dataclass
class Count:
    tokens: int = 0
    responses: int = 0


Ask = Callable[[], Count]
AsyncAsk = Callable[[], Awaitable[Count]]


def tensors(tokens: int) -> list[Any]:
    made = []
    for name, dtype, kind, value in (
        ("text_input", "BYTES", np.object_, PROMPT.encode()),
        ("max_tokens", "INT32", np.int32, tokens),
        ("stream", "BOOL", np.bool_, True),
    ):
        made.append(triton.InferInput(name, [1, 1], dtype))
        made[-1].set_data_from_numpy(np.array([[value]], dtype=kind))
    return made


def bare(url: str, tokens: int) -> Ask:
    """Return one tritonclient with its stream, for one thread."""
    client = triton.InferenceServerClient(url)
    replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.start_stream(lambda result, error: replies.put(error or result))
    inputs = tensors(tokens)

    def ask() -> Count:
        count = Count()
        client.async_stream_infer("gemma4", inputs, enable_empty_final_response=True)
        while True:
            reply = replies.get()
            if isinstance(reply, Exception):
                raise reply
            count.responses += 1
            if reply.as_numpy("text_output") is not None:
                count.tokens = reply.as_numpy("completion_tokens")[0, 0]
            if reply.get_response().parameters["triton_final_response"].bool_param:
                return count

    return ask


def ours(client: Client, tokens: int) -> Ask:
    def ask() -> Count:
        count = Count()
        for delta in client.generate(PROMPT, max_tokens=tokens):
            count.tokens = delta.completion_tokens
            count.responses += 1
        return count

    return ask


def bare_async(client: Any, tokens: int) -> AsyncAsk:
    inputs = tensors(tokens)

    async def requests() -> Any:
        yield {"model_name": "gemma4", "inputs": inputs, "enable_empty_final_response": True}

    async def ask() -> Count:
        count = Count()
        async for result, error in client.stream_infer(requests()):
            if error is not None:
                raise error
            count.responses += 1
            if result.as_numpy("text_output") is not None:
                count.tokens = result.as_numpy("completion_tokens")[0, 0]
            if result.get_response().parameters["triton_final_response"].bool_param:
                break
        return count

    return ask


def ours_async(client: AsyncClient, tokens: int) -> AsyncAsk:
    async def ask() -> Count:
        count = Count()
        async for delta in client.generate(PROMPT, max_tokens=tokens):
            count.tokens = delta.completion_tokens
            count.responses += 1
        return count

    return ask


def threads(asks: list[Ask], seconds: float) -> Count:
    total, end = Count(), time.monotonic() + seconds
    counts: list[Count] = []

    def loop(ask: Ask) -> None:
        while time.monotonic() < end:
            counts.append(ask())

    running = [Thread(target=loop, args=(ask,)) for ask in asks]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    total.tokens = sum(int(c.tokens) for c in counts)
    total.responses = sum(c.responses for c in counts)
    return total


async def tasks(ask: AsyncAsk, streams: int, seconds: float) -> Count:
    end = time.monotonic() + seconds
    counts: list[Count] = []

    async def loop() -> None:
        while time.monotonic() < end:
            counts.append(await ask())

    await asyncio.gather(*(loop() for _ in range(streams)))
    return Count(sum(int(c.tokens) for c in counts), sum(c.responses for c in counts))


def run_sync(side: str, url: str, streams: int, tokens: int, seconds: float) -> Count:
    if side == "bare":
        return threads([bare(url, tokens) for _ in range(streams)], seconds)
    with Client(url) as client:
        return threads([ours(client, tokens)] * streams, seconds)


def run_async(side: str, url: str, streams: int, tokens: int, seconds: float) -> Count:
    async def main() -> Count:
        if side == "bare":
            async with triton_aio.InferenceServerClient(url) as client:
                return await tasks(bare_async(client, tokens), streams, seconds)
        async with AsyncClient(url) as ours_client:
            return await tasks(ours_async(ours_client, tokens), streams, seconds)

    return asyncio.run(main())


@dataclass
class Side:
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    def add(self, run: Callable[[], Count]) -> None:
        wall, cpu = time.monotonic(), time.process_time()
        count = run()
        self.rates.append(count.tokens / (time.monotonic() - wall))
        self.cpu.append((time.process_time() - cpu) / count.responses * 1000)
        self.sizes.append(count.tokens / count.responses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", default="1,32,128")
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1000.0, help="tokens/s of one stream")
    a = parser.parse_args()
    levels = [int(n) for n in a.streams.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        engine = synthetic_engine(
            Path(folder) / "engine", tokens_per_s=a.rate, slots=max(levels),
            prefill_tokens_per_s=20_000,
        )  # fmt: skip
        served = Served(engine, Path(folder) / "run")
        url = f"127.0.0.1:{served.grpc}"
        head = "kind     streams  bare tok/s  ours tok/s   ratio  "
        print(head + "tokens/response bare, ours  CPU s/1,000 responses bare, ours", flush=True)
        for kind, run in (("blocking", run_sync), ("asyncio", run_async)):
            for streams in levels:
                run("ours", url, streams, a.tokens, 0.5)  # warm up
                sides = {"bare": Side(), "ours": Side()}
                for turn in range(a.rounds):
                    order = ("bare", "ours") if turn % 2 == 0 else ("ours", "bare")
                    for name in order:
                        sides[name].add(partial(run, name, url, streams, a.tokens, a.seconds))
                print(row(kind, streams, sides["bare"], sides["ours"]), flush=True)
        served.stop()


def row(kind: str, streams: int, bare_side: Side, our_side: Side) -> str:
    first, second = (statistics.median(s.rates) for s in (bare_side, our_side))
    sizes = [statistics.median(s.sizes) for s in (bare_side, our_side)]
    cpu = [statistics.median(s.cpu) for s in (bare_side, our_side)]
    return (
        f"{kind:8} {streams:7} {first:11.0f} {second:11.0f} {second / first:7.1%} "
        f"{sizes[0]:20.1f} {sizes[1]:6.1f} {cpu[0]:28.3f} {cpu[1]:6.3f}"
    )


if __name__ == "__main__":
    main()
