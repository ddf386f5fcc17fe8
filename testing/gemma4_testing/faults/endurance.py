"""Overload, a rolling restart and a soak, with figures.

``python -m gemma4_testing.faults.endurance overload|rolling|soak [--minutes N]``; exit status 1 when a bound
is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx
from gemma4_client import AsyncClient, Gemma4Error, UnavailableError
from gemma4_serve.proc import name_of

from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.process_tree import lasting
from gemma4_testing.servers.running_gateway import RunningGateway, chat
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until

SLOTS = 8
TOKENS = 20
PACE = 100.0


async def _one(client: AsyncClient, seen: Counter[str]) -> None:
    try:
        answer = await client.chat(user("x"), max_tokens=TOKENS, timeout=30).result()
        seen["whole" if answer.completion_tokens == TOKENS else "cut"] += 1
    except UnavailableError:
        seen["refused"] += 1
    except Gemma4Error as error:
        seen[f"failed: {error}"] += 1


async def _closed(client: AsyncClient, streams: int, seconds: float) -> Counter[str]:
    """So many streams, each beginning its next request at the end of the last."""
    seen: Counter[str] = Counter()
    end = time.monotonic() + seconds

    async def run() -> None:
        while time.monotonic() < end:
            await _one(client, seen)

    await asyncio.gather(*(run() for _ in range(streams)))
    return seen


async def _open(client: AsyncClient, rate: float, seconds: float) -> Counter[str]:
    """So many requests a second, whatever becomes of those before."""
    seen: Counter[str] = Counter()
    begun, tasks = time.monotonic(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
        tasks.append(asyncio.create_task(_one(client, seen)))
    await asyncio.gather(*tasks)
    return seen


def overload(folder: Path, minutes: float) -> bool:
    """What is answered at five times the capacity, as a share of the capacity."""
    engine = synthetic_engine(folder / "engine", tokens_per_s=PACE, slots=SLOTS)
    served = Served(engine, folder / "run")
    seconds = max(10.0, minutes * 60)

    async def run() -> tuple[Counter[str], Counter[str]]:
        async with AsyncClient(f"127.0.0.1:{served.grpc}", retry=None, breaker=None) as client:
            usual = await _closed(client, SLOTS, seconds)
            rate = usual["whole"] / seconds
            return usual, await _open(client, 5 * rate, seconds)

    usual, over = asyncio.run(run())
    share = over["whole"] / usual["whole"]
    print(f"capacity {usual['whole'] / seconds:.1f} answers/s {dict(usual)}")
    print(f"at 5 x: {share:.0%} of it {dict(over)}")
    status = served.stop()
    print(f"exit status {status}")
    return share > 0.9 and set(over) <= {"whole", "refused"} and status == 0


def rolling(folder: Path, minutes: float) -> bool:
    """Two servers behind a gateway, each stopped and started again under load."""
    engine = synthetic_engine(folder / "engine", tokens_per_s=PACE, slots=SLOTS)
    ports: list[tuple[str, ...]] = []
    servers = [Served(engine, folder / f"run{n}") for n in range(2)]
    for server in servers:
        ports.append(("--http-port", str(server.http), "--grpc-port", str(server.grpc)))
    gateway = RunningGateway(*(server.grpc for server in servers))
    seen: Counter[str] = Counter()
    over = False

    async def client(http: httpx.AsyncClient) -> None:
        while not over:
            try:
                reply = await http.post("/v1/chat/completions", json=chat(max_tokens=100))
                whole = (
                    reply.status_code == 200 and reply.json()["usage"]["completion_tokens"] == 100
                )
                seen["whole" if whole else reply.text[:200]] += 1
            except httpx.HTTPError as error:
                seen[repr(error)] += 1

    async def restart() -> None:
        nonlocal over
        await asyncio.sleep(2)
        for number in range(2):
            servers[number].process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(servers[number].process.wait, 60)
            print(f"server {number} stopped with {servers[number].process.returncode}")
            run_dir = folder / f"run{number}"
            servers[number] = await asyncio.to_thread(Served, engine, run_dir, *ports[number])
            await asyncio.sleep(3)
        over = True

    async def run() -> None:
        async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as http:
            await asyncio.gather(restart(), *(client(http) for _ in range(8)))

    asyncio.run(run())
    print(f"{seen['whole']} of {sum(seen.values())} answers whole {dict(seen)}")
    gateway.stop()
    codes = [server.stop() for server in servers]
    print(f"exit statuses {codes}")
    return set(seen) == {"whole"} and codes == [0, 0]


def soak(folder: Path, minutes: float) -> bool:
    """Requests, cancels, refusals and deadlines for minutes: is anything left of them?"""
    engine = synthetic_engine(folder / "engine", tokens_per_s=PACE, slots=32)
    served = Served(engine, folder / "run")
    random = Random(1)
    seen: Counter[str] = Counter()
    sizes: dict[str, list[dict[str, float]]] = {}
    pids = {p.pid for p in lasting(served.process.pid)}
    end = time.monotonic() + minutes * 60

    async def client(number: int) -> None:
        while time.monotonic() < end:
            kind = random.choice(["whole", "whole", "cancel", "deadline", "bad"])
            async with AsyncClient(f"127.0.0.1:{served.grpc}", retry=None, breaker=None) as one:
                for _ in range(20):
                    with suppress(Gemma4Error, ValueError):
                        await _ask(one, kind, random)
                    seen[kind] += 1

    async def watch() -> None:
        while time.monotonic() < end:
            for process in lasting(served.process.pid):
                figures = {
                    "MB": process.memory_info().rss / 1e6,
                    "threads": process.num_threads(),
                    "descriptors": process.num_fds(),
                }
                sizes.setdefault(f"{name_of(process.pid)} {process.pid}", []).append(figures)
            await asyncio.sleep(max(1.0, minutes * 60 / 40))

    async def run() -> None:
        await asyncio.gather(watch(), *(client(n) for n in range(24)))

    asyncio.run(run())
    wait_until(served.idle, 10)
    grown = False
    for name, samples in sizes.items():
        early, late = samples[len(samples) // 3], samples[-1]
        print(name, "; ".join(f"{k} {early[k]:.0f} -> {late[k]:.0f}" for k in early))
        grown |= late["MB"] > early["MB"] * 1.1 + 8 or late["threads"] > early["threads"] + 2
        grown |= late["descriptors"] > early["descriptors"] + 8
    same = pids == {p.pid for p in lasting(served.process.pid)}
    status = served.stop()
    print(f"{dict(seen)}; the same processes: {same}; exit status {status}")
    return same and status == 0 and not grown


async def _ask(client: AsyncClient, kind: str, random: Random) -> None:
    if kind == "bad":
        await client.chat(user("x"), max_tokens=-random.randint(0, 9)).result()
    options = {"timeout_ms": random.randint(1, 200)} if kind == "deadline" else {}
    stream = client.chat(user("x" * random.randint(1, 2000)), max_tokens=60, **options)
    if kind == "cancel":
        async for _ in stream:
            if random.random() < 0.3:
                stream.cancel()
                return
    await stream.result()


RUNS = {"overload": overload, "rolling": rolling, "soak": soak}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("--minutes", type=float, default=0.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gemma4-endurance-") as folder:
        minutes = options.minutes or (14.0 if options.what == "soak" else 0.0)
        return 0 if RUNS[options.what](Path(folder), minutes) else 1


if __name__ == "__main__":
    sys.exit(main())
