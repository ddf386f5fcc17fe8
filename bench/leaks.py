"""Ask ``--requests`` times, a third of it cancelled, and see that nothing grows.

    MALLOC_ARENA_MAX=1 python bench/leaks.py --grpc HOST:PORT --http HOST:PORT

(without the variable, glibc keeps arenas of threads that have ended: some megabytes of noise)

Blocking and asyncio, gRPC and HTTP, in equal parts, short answers; clients are opened and closed
along the way. After a first fifth (warm-up), and at the end, memory (RSS), descriptors, threads and
asyncio tasks of this process are counted; prints them as JSON and exits with 1 when one has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
from gemma4_client import AsyncClient, CancelledError, Client

AT_ONCE = 16
BATCH = 250
GROWTH_BYTES = 6 << 20
"""Arena noise of gRPC and of Python; at 8,000 requests a leak of 1.5 KB each is more."""


def ask(client: Client, index: int) -> None:
    """Ask, and cancel every third: before it is read, by leaving the loop, or by another call."""
    stream = client.generate("one two three", max_tokens=3 if index % 3 else 300)
    if index % 3:
        assert stream.result().completion_tokens == 3
    elif index % 9 == 0:
        stream.cancel()
        try:
            stream.result()
        except CancelledError:
            return
        raise AssertionError("a cancelled stream gave an answer")
    elif index % 9 == 3:
        for _ in stream:
            break
    else:
        with stream:
            next(iter(stream))


def blocking(url: str, requests: int) -> None:
    for first in range(0, requests, BATCH):
        with Client(url) as client, ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda i: ask(client, i), range(first, min(first + BATCH, requests))))


async def ask_async(client: AsyncClient, index: int) -> None:
    stream = client.generate("one two three", max_tokens=3 if index % 3 else 300)
    if index % 3:
        assert (await stream.result()).completion_tokens == 3
    elif index % 9 == 0:
        stream.cancel()
        try:
            await stream.result()
        except CancelledError:
            return
        raise AssertionError("a cancelled stream gave an answer")
    elif index % 9 == 3:
        async for _ in stream:
            break
    else:
        task = asyncio.create_task(stream.result())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def in_loop(url: str, requests: int) -> int:
    """Return the number of tasks that are left."""
    for first in range(0, requests, BATCH):
        async with AsyncClient(url) as client:
            indices = iter(range(first, min(first + BATCH, requests)))

            async def worker(client: AsyncClient = client, indices: Any = indices) -> None:
                for index in indices:
                    await ask_async(client, index)

            await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    await asyncio.sleep(0.05)  # call-backs of the last cancels
    return len(asyncio.all_tasks()) - 1


def count() -> dict[str, int]:
    gc.collect()
    process = psutil.Process()
    return {
        "rss": process.memory_info().rss,
        "descriptors": process.num_fds(),
        "threads": threading.active_count(),
        "os_threads": process.num_threads(),
    }


def round_of(urls: list[str], requests: int) -> int:
    """Send ``requests`` in all and return the number of asyncio tasks left."""
    left = 0
    for url in urls:
        blocking(url, requests // (2 * len(urls)))
        left += asyncio.run(in_loop(url, requests // (2 * len(urls))))
    return left


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grpc", required=True)
    parser.add_argument("--http", required=True)
    parser.add_argument("--requests", type=int, default=10_000)
    a = parser.parse_args()
    urls = [f"grpc://{a.grpc}", f"http://{a.http}"]
    started = time.monotonic()
    left = round_of(urls, a.requests // 5)
    before = count()
    left += round_of(urls, a.requests - a.requests // 5)
    after = count()
    print(
        json.dumps(
            {
                "requests": a.requests,
                "seconds": round(time.monotonic() - started, 1),
                "before": before,
                "after": after,
                "tasks_left": left,
            }
        )
    )
    grown = [k for k in ("descriptors", "threads", "os_threads") if after[k] > before[k] + 2]
    if after["rss"] > before["rss"] + GROWTH_BYTES:
        grown.append("rss")
    if left:
        grown.append("tasks")
    if grown:
        print(f"grown: {', '.join(grown)}", file=sys.stderr)
    return bool(grown)


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    sys.exit(main())
