"""The gateway against Triton's gRPC directly, in one run: ``.venv/bin/python bench/gateway.py``.

One Triton server with the synthetic engine, one gateway in front of it, this process as the load.
Closed loop: each of N streams asks ``--requests`` times, one after another, for ``--tokens`` tokens.
At one stream the two sides take turns with every request, at more with every round. The direct side
reads with ``AsyncClient``; the gateway's side reads raw sockets and looks only at the first and the
last bytes of an answer, so that the load costs no more there than here. Both on one uvloop.

``--pace 0`` is as fast as can be: the cores are full, and what the gateway costs shows as lost
throughput. With a pace the tokens come as from a model, and what it costs shows as latency.
Prints tokens/s, median TTFT, their ratio and difference (medians over the rounds), and CPU seconds
per 1,000 tokens of each process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import ssl
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop
from gemma4_client import AsyncClient
from gemma4_testing.engine_folders.synthetic_engine import UNPACED, synthetic_engine
from gemma4_testing.servers.command import Command
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served

Result = tuple[int, float]
"""Tokens and TTFT (seconds) of one answer."""


def messages(index: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Question {index}: what is the weather like today?"}]


class Direct:
    """Over gRPC."""

    def __init__(self, port: int) -> None:
        self._client = AsyncClient(f"127.0.0.1:{port}", retry=None, breaker=None)

    async def ask(self, index: int, tokens: int) -> Result:
        started = time.perf_counter()
        first = 0.0
        count = 0
        async for delta in self._client.chat(messages(index), max_tokens=tokens, stream=True):
            first = first or time.perf_counter()
            count = delta.completion_tokens
        return count, first - started

    async def close(self) -> None:
        await self._client.close()


class _Reader(asyncio.Protocol):
    """Keeps the time of the first bytes of a body, and the last bytes."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.first = 0.0
        self.tail = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.first and b"data: " in data:
            self.first = time.perf_counter()
        self.tail = (self.tail + data)[-600:]
        if self.tail.endswith(b"0\r\n\r\n"):
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("closed"))

    def again(self) -> None:
        self.first, self.tail = 0.0, b""
        self.done = asyncio.get_running_loop().create_future()


class Gateway:
    """Server-sent events over kept connections."""

    def __init__(
        self, port: int, model: str, tls: ssl.SSLContext | None = None, **more: object
    ) -> None:
        """``more``: fields of every request."""
        self._port = port
        self._more = more
        self._model = model
        self._tls = tls
        self._idle: list[_Reader] = []

    async def ask(self, index: int, tokens: int) -> Result:
        body = json.dumps(
            {
                "model": self._model,
                "messages": messages(index),
                "max_tokens": tokens,
                "stream": True,
                "stream_options": {"include_usage": True},
                **self._more,
            }
        ).encode()
        started = time.perf_counter()
        reader = self._idle.pop() if self._idle else await self._connect()
        assert reader.transport is not None
        reader.transport.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        await reader.done
        found = re.search(rb'"completion_tokens":(\d+)', reader.tail)
        if found is None:
            raise SystemExit(f"no whole answer: {reader.tail!r}")
        result = int(found[1]), reader.first - started
        reader.again()
        self._idle.append(reader)
        return result

    async def _connect(self) -> _Reader:
        loop = asyncio.get_running_loop()
        transport, reader = await loop.create_connection(
            _Reader, "127.0.0.1", self._port, ssl=self._tls
        )
        reader.transport = transport
        return reader


@dataclass
class Measured:
    """Of one side at one number of streams; one entry for each round."""

    rates: list[float] = field(default_factory=list)
    ttfts: list[float] = field(default_factory=list)
    cpu: dict[str, list[float]] = field(default_factory=dict)


Ask = Callable[[int, int], Awaitable[Result]]


async def one_round(
    ask: Ask, streams: int, requests: int, tokens: int, base: int
) -> tuple[int, float, list[float]]:
    """Return tokens, seconds, and all TTFTs."""

    async def loop(stream: int) -> list[Result]:
        return [await ask(base + stream * requests + turn, tokens) for turn in range(requests)]

    started = time.perf_counter()
    parts = await asyncio.gather(*(loop(stream) for stream in range(streams)))
    spent = time.perf_counter() - started
    results = [result for part in parts for result in part]
    return sum(count for count, _ in results), spent, [ttft for _, ttft in results]


async def turns(sides: dict[str, Ask], requests: int, tokens: int) -> dict[str, Measured]:
    """Measure one stream; the sides take turns with every request."""
    found = {name: Measured() for name in sides}
    for turn in range(requests):
        for name, ask in sides.items():
            count, spent, ttfts = await one_round(ask, 1, 1, tokens, turn)
            if turn >= 5:
                found[name].rates.append(count / spent)
                found[name].ttfts += ttfts
    return found


async def rounds(
    sides: dict[str, Ask],
    processes: dict[str, Command],
    streams: int,
    options: argparse.Namespace,
) -> dict[str, Measured]:
    """Measure more streams; the sides take turns with every round, which starts with the other side
    each time. The first pair warms up."""
    found = {name: Measured() for name in sides}
    own = psutil.Process()
    for turn in range(options.rounds + 1):
        order = list(sides) if turn % 2 else list(reversed(sides))
        for name in order:
            before = {n: p.cpu() for n, p in processes.items()}
            mine = sum(own.cpu_times()[:2])
            count, spent, ttfts = await one_round(
                sides[name], streams, options.requests, options.tokens, turn * 10_000
            )
            if turn == 0:
                continue
            found[name].rates.append(count / spent)
            found[name].ttfts.append(statistics.median(ttfts))
            used = {n: p.cpu() - before[n] for n, p in processes.items()}
            used["load"] = sum(own.cpu_times()[:2]) - mine
            for process, seconds in used.items():
                found[name].cpu.setdefault(process, []).append(seconds / count * 1000)
    return found


def show(streams: int, found: dict[str, Measured]) -> None:
    middle = statistics.median
    for name, side in found.items():
        cpu = ", ".join(f"{n} {middle(v):.3f}" for n, v in side.cpu.items())
        print(
            f"{streams:>4} {name:<8} {middle(side.rates):>9.0f} tokens/s "
            f"{middle(side.ttfts) * 1000:>8.2f} ms TTFT"
            + (f"   CPU s per 1,000 tokens: {cpu}" if cpu else "")
        )
    direct, gateway = found["direct"], found["gateway"]
    ratios = [g / d for g, d in zip(gateway.rates, direct.rates, strict=True)]
    added = (middle(gateway.ttfts) - middle(direct.ttfts)) * 1000
    print(f"     gateway / direct {middle(ratios):.2f}, added TTFT {added:+.2f} ms")


async def bench(options: argparse.Namespace, server: Served, gateway: RunningGateway) -> None:
    direct = Direct(server.grpc)
    through = Gateway(gateway.port, MODEL)
    sides: dict[str, Ask] = {"direct": direct.ask, "gateway": through.ask}
    for streams in options.streams:
        if streams == 1:
            show(1, await turns(sides, options.turns, options.tokens))
        else:
            processes = {"server": server, "gateway": gateway}
            show(streams, await rounds(sides, processes, streams, options))
    await direct.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 32, 128])
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--requests", type=int, default=4, help="of each stream in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=65, help="requests at one stream")
    parser.add_argument("--pace", type=float, default=0.0, help="tokens/s of a stream; 0: no pace")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pace = options.pace or UNPACED
        engine = synthetic_engine(Path(folder) / "engine", tokens_per_s=pace, slots=256)
        server = Served(engine, Path(folder) / "run")
        gateway = RunningGateway(server.grpc)
        try:
            uvloop.run(bench(options, server, gateway))
        finally:
            gateway.stop()
            server.stop()


if __name__ == "__main__":
    main()
