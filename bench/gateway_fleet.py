"""Several gateways before several servers, all asked with one ``prompt_cache_key``:
``.venv/bin/python bench/gateway_fleet.py --before OTHER_TREE``.

A gateway prefers one server for requests that begin alike, or say so, until that has
``--imbalance`` requests more than the least busy one. Every gateway alone sees too few of them; so
each asks the servers, every two seconds, what all gateways have there. Users ask in a closed loop
without pauses, one question after the other, each time through a gateway drawn by chance. Printed
for each tree: answers of each server, TTFT (50th and 95th percentile), and the share of answers
that began within ``--slo`` seconds. ``--before`` is a checkout of another version of the gateway,
which takes turns with this one, before the same servers.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

import numpy as np
from gateway import Gateway
from gemma4_runtime.server.board import Field
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.command import Command
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served

HERE = Path(__file__).resolve().parents[1]
PACKAGES = ("runtime", "build", "clients", "load_tests", "serve", "cli")
PACE = 50.0
"""Tokens/s of a stream."""


class Fleet:
    """The gateways of one tree. Those that have started are stopped when one does not."""

    def __init__(self, tree: Path, servers: list[Served], count: int) -> None:
        env = {"PYTHONPATH": ":".join(str(tree / each) for each in PACKAGES)}
        ports = [server.grpc for server in servers]
        self._gateways: list[Command] = []
        self._clients = []
        try:
            for _ in range(count):
                gateway = RunningGateway(*ports, env=env)
                self._gateways.append(gateway)
                self._clients.append(Gateway(gateway.port, MODEL, prompt_cache_key="weather"))
        except BaseException:
            self.stop()
            raise

    async def load(self, users: int, seconds: float, tokens: int) -> list[float]:
        """Return the TTFT of all answers."""
        ttfts: list[float] = []
        until = time.monotonic() + seconds
        rng = random.Random(0)

        async def user(number: int) -> None:
            turn = 0
            while time.monotonic() < until:
                turn += 1
                client = rng.choice(self._clients)
                _, ttft = await client.ask(number * 10_000 + turn, tokens)
                ttfts.append(ttft)

        await asyncio.gather(*(user(number) for number in range(users)))
        return ttfts

    def stop(self) -> None:
        for gateway in self._gateways:
            gateway.stop()


def measure(fleet: Fleet, servers: list[Served], options: argparse.Namespace) -> str:
    def finished() -> list[int]:
        return [server.board()[Field.FINISHED] for server in servers]

    before = finished()
    ttfts = asyncio.run(fleet.load(options.users, options.seconds, options.tokens))
    shares = [after - was for after, was in zip(finished(), before, strict=True)]
    p50, p95 = np.percentile(ttfts, [50, 95]) * 1000
    kept = np.mean(np.array(ttfts) <= options.slo)
    return (
        f"{len(ttfts):5} answers, by server {sorted(shares, reverse=True)}, "
        f"TTFT p50 {p50:.0f} ms, p95 {p95:.0f} ms, {kept:.0%} within {options.slo:g} s"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, help="a checkout to compare with")
    parser.add_argument("--gateways", type=int, default=6)
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--slots", type=int, default=16, help="of each server")
    parser.add_argument("--users", type=int, default=36)
    parser.add_argument("--tokens", type=int, default=100, help="of each answer")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--slo", type=float, default=0.5, help="seconds of TTFT")
    return parser.parse_args()


def main() -> None:
    options = parse()
    trees = {"before": options.before.resolve()} if options.before else {}
    trees["now"] = HERE
    started: list[Command | Fleet] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        engine = synthetic_engine(
            scratch / "engine", tokens_per_s=PACE, slots=options.slots,
            prefill_tokens_per_s=20_000,
        )  # fmt: skip
        try:
            servers = []
            for number in range(options.servers):
                servers.append(Served(engine, scratch / f"run{number}"))
                started.append(servers[-1])
            for turn in range(options.turns):
                for name, tree in trees.items():
                    fleet = Fleet(tree, servers, options.gateways)
                    started.append(fleet)
                    print(f"{turn + 1} {name:6} {measure(fleet, servers, options)}", flush=True)
                    fleet.stop()
                    started.remove(fleet)
        finally:
            for each in reversed(started):
                each.stop()


if __name__ == "__main__":
    main()
