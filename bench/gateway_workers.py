"""One worker of the gateway against several: ``.venv/bin/python bench/gateway_workers.py``.

One Triton server with the synthetic engine, and two gateways in front of it, one of them with
``--workers``, that take turns with every round; this process is the load. Two loads: answers that
stream, ``--tokens`` each, as fast as they can come, where Triton and the load take their part of the
cores; and `GET /v1/models`, which the gateway answers by itself. Every stream has a connection of
its own, which it keeps. Prints for each load the rate, CPU seconds of each process for 1,000 of what
it counts, the ratio of the rates (medians over the rounds) and how the workers shared the
connections; at the end the memory of either gateway.

The gain is what cores there are beside Triton and the load: on two cores next to none is left.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import psutil
import uvloop
from gateway import Gateway, one_round
from gemma4_testing.engine_folders.synthetic_engine import UNPACED, synthetic_engine
from gemma4_testing.servers.process_tree import tree
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.running_workers import RunningWorkers
from gemma4_testing.servers.served import Served

Sides = dict[str, RunningGateway]


class Streamed:
    """Tokens of answers that stream."""

    unit = "tokens"

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._clients: dict[int, Gateway] = {}

    async def round(self, port: int, turn: int) -> tuple[int, float]:
        options = self._options
        client = self._clients.setdefault(port, Gateway(port, MODEL))
        count, spent, _ = await one_round(
            client.ask, options.streams, options.requests, options.tokens, turn * 10_000
        )
        return count, spent


class Light:
    """Requests that no back end hears of."""

    unit = "requests"

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._kept: dict[int, list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = {}

    async def round(self, port: int, turn: int) -> tuple[int, float]:
        options = self._options
        if port not in self._kept:
            opened = (asyncio.open_connection("127.0.0.1", port) for _ in range(options.streams))
            self._kept[port] = list(await asyncio.gather(*opened))
        each = options.light // options.streams
        started = time.perf_counter()
        await asyncio.gather(*(_ask(*kept, each) for kept in self._kept[port]))
        return each * options.streams, time.perf_counter() - started


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, times: int) -> None:
    for _ in range(times):
        writer.write(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        assert head.startswith(b"HTTP/1.1 200") and await reader.readexactly(length)


async def bench(
    load: Streamed | Light, rounds: int, server: Served, sides: Sides, several: RunningWorkers
) -> None:
    own = psutil.Process()
    rates: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, dict[str, list[float]]] = {name: {} for name in sides}
    for turn in range(rounds + 1):
        for name in list(sides) if turn % 2 else list(reversed(sides)):
            before = {"gateway": sides[name].cpu(), "server": server.cpu()}
            mine = sum(own.cpu_times()[:2])
            count, spent = await load.round(sides[name].port, turn)
            if not turn:  # the first pair warms up, and opens the connections
                continue
            rates[name].append(count / spent)
            after = {"gateway": sides[name].cpu(), "server": server.cpu()}
            used = {part: after[part] - before[part] for part in after}
            used["load"] = sum(own.cpu_times()[:2]) - mine
            for part, seconds in used.items():
                cpu[name].setdefault(part, []).append(seconds / count * 1000)
    for name, values in rates.items():
        parts = ", ".join(f"{p} {statistics.median(v):.3f}" for p, v in cpu[name].items())
        print(
            f"{name:<10} {statistics.median(values):>9.0f} {load.unit}/s   "
            f"CPU s per 1,000 {load.unit}: {parts}"
        )
    ratios = [s / o for o, s in zip(*rates.values(), strict=True)]
    print(f"           several / one {statistics.median(ratios):.2f}  {sorted(ratios)}")
    print(f"           connections of each worker: {shared(several)}")


def shared(gateway: RunningWorkers) -> list[int]:
    """Return how many connections of clients each worker has."""
    return [
        sum(c.laddr.port == gateway.port for c in worker.net_connections() if c.raddr)
        for worker in gateway.workers
    ]


def pss(gateway: RunningGateway) -> int:
    """Return the bytes of all processes of a gateway; what they share counts once."""
    return sum(process.memory_full_info().pss for process in tree(gateway.process.pid))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--requests", type=int, default=4, help="of each stream in a round")
    parser.add_argument("--light", type=int, default=8000, help="GET requests of a round")
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = synthetic_engine(Path(folder) / "engine", tokens_per_s=UNPACED, slots=256)
        server = Served(engine, Path(folder) / "run")
        several = RunningWorkers(server.grpc, count=options.workers)
        sides = {"1 worker": RunningGateway(server.grpc), f"{options.workers} workers": several}
        try:
            for kind in (Streamed, Light):
                uvloop.run(bench(kind(options), options.rounds, server, sides, several))
            for name, gateway in sides.items():
                print(f"{name:<10} {pss(gateway) / 2**20:.0f} MiB")
        finally:
            for gateway in sides.values():
                gateway.stop()
            server.stop()


if __name__ == "__main__":
    main()
