"""One key at its weight while another floods: ``.venv/bin/python bench/fair_tenants.py``.

One Triton server with the synthetic engine (``--slots`` requests at once, 100 tokens/s each), and in
one run two gateways before it by turns: one that sends everything at once, so that requests wait in
the engine's first-in-first-out queue, and one whose requests wait in fair order by key. In each
round, for ``--seconds``: the key ``flood`` (weight 1) keeps ``--flood`` requests of 200 tokens
under way; ``heavy`` (weight 3) keeps ``--heavy`` of 100 tokens; ``light`` (weight 1) asks for 20
tokens, waits half a second, and asks again. Prints of each key tokens/s, its share of the tokens,
what it may have by weight, the median and 95th percentile of the time to the first token (seconds),
and refusals.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvloop
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served

PACE = 100.0
"""Tokens/s of a stream."""
_USAGE = re.compile(rb'"completion_tokens":(\d+)')
WARM_UP_S = 3.0
"""Seconds of a round before anything is counted."""


@dataclass(frozen=True)
class Key:
    """``streams`` at once, each with ``pause`` seconds after an answer."""

    name: str
    weight: float
    streams: int
    tokens: int
    pause: float = 0.0


@dataclass
class Figures:
    """Of one key in one round."""

    tokens: int = 0
    ttfts: list[float] = field(default_factory=list)
    refused: int = 0


async def ask(http: aiohttp.ClientSession, key: Key, figures: Figures, since: float) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "What is the weather like today?"}],
        "max_tokens": key.tokens,
        "min_tokens": key.tokens,
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }
    begun, first, had = time.perf_counter(), 0.0, 0
    headers = {"authorization": f"Bearer sk-{key.name}"}
    async with http.post("/v1/chat/completions", json=body, headers=headers) as reply:
        async for line in reply.content:
            if reply.status != 200 or not line.startswith(b"data: {"):
                continue
            first = first or time.perf_counter()
            usage = _USAGE.search(line)
            if usage is not None:
                now = int(usage[1])
                if time.perf_counter() > since:
                    figures.tokens += now - had
                had = now
    if begun < since:
        return
    if reply.status == 200:
        figures.ttfts.append(first - begun)
    else:
        figures.refused += 1
        await asyncio.sleep(0.5)


async def one_round(port: int, keys: list[Key], seconds: float) -> dict[str, Figures]:
    found = {key.name: Figures() for key in keys}
    since = time.perf_counter() + WARM_UP_S
    end = since + seconds
    connector = aiohttp.TCPConnector(limit=0)
    base = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession(base, connector=connector) as http:

        async def loop(key: Key) -> None:
            while time.perf_counter() < end:
                await ask(http, key, found[key.name], since)
                await asyncio.sleep(key.pause)

        tasks = [asyncio.create_task(loop(key)) for key in keys for _ in range(key.streams)]
        await asyncio.sleep(end - time.perf_counter())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return found


def show(name: str, keys: list[Key], rounds: list[dict[str, Figures]], seconds: float) -> None:
    total = sum(figures.tokens for found in rounds for figures in found.values())
    print(f"{name}: {total / seconds / len(rounds):.0f} tokens/s")
    for key in keys:
        mine = [found[key.name] for found in rounds]
        tokens = sum(figures.tokens for figures in mine)
        ttfts = sorted(ttft for figures in mine for ttft in figures.ttfts)
        times = "no whole answer"
        if ttfts:
            high = ttfts[min(len(ttfts) - 1, int(len(ttfts) * 0.95))]
            times = f"TTFT {statistics.median(ttfts):6.2f} s, p95 {high:6.2f} s"
        print(
            f"  {key.name:<6} weight {key.weight:g}: {tokens / seconds / len(rounds):6.1f} tokens/s,"
            f" {tokens / max(1, total):4.0%}; {times}; {len(ttfts)} answers,"
            f" {sum(figures.refused for figures in mine)} refused"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--flood", type=int, default=64, help="requests of `flood` at once")
    parser.add_argument("--heavy", type=int, default=32, help="requests of `heavy` at once")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keys = [
        Key("flood", 1, options.flood, 200),
        Key("heavy", 3, options.heavy, 100),
        Key("light", 1, 1, 20, pause=0.5),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "keys.json"
        entries = [
            {
                "name": key.name,
                "sha256": hashlib.sha256(f"sk-{key.name}".encode()).hexdigest(),
                "weight": key.weight,
            }
            for key in keys
        ]
        file.write_text(json.dumps({"keys": entries}))
        engine = synthetic_engine(folder / "engine", tokens_per_s=PACE, slots=options.slots)
        server = Served(engine, folder / "run", "--max-queued", "512")
        given = ("--api-keys-file", str(file), "--queue-seconds", "120")
        sides = {
            "in the engine's order": RunningGateway(
                server.grpc, args=(*given, "--queue-length", "0")
            ),
            "in fair order": RunningGateway(server.grpc, args=given),
        }
        found: dict[str, list[dict[str, Figures]]] = {side: [] for side in sides}
        try:
            for turn in range(options.rounds):
                for side in list(sides) if turn % 2 else list(reversed(sides)):
                    one = uvloop.run(one_round(sides[side].port, keys, options.seconds))
                    found[side].append(one)
                    time.sleep(1)  # what was left ends
            for side, rounds in found.items():
                show(side, keys, rounds, options.seconds)
        finally:
            for gateway in sides.values():
                gateway.stop()
            server.stop()


if __name__ == "__main__":
    main()
