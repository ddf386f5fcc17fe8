"""Least-loaded routing against round-robin, with one slow worker."""

from __future__ import annotations

import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from cluster import Frontend, Worker, streamed
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

REQUESTS, AT_ONCE, TOKENS = 96, 8, 40
FAST, SLOW = 100, 10
COUNTER = "gemma4_request_success_total{"
SETTLED_S = 1.0
"""Until the answers that the frontend was tried with are counted."""


@dataclass
class Workers:
    """A fast and a slow one (tokens/s of each stream), of two engine folders."""

    discovery: Path
    servers: dict[int, Served]

    def served(self) -> Counter[int]:
        """Answers so far, of the fast and of the slow one."""
        return Counter({pace: answers(server) for pace, server in self.servers.items()})


def answers(server: Served) -> int:
    """What the server's metrics count, which are published four times a second."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}/metrics", timeout=9) as reply:
        lines = reply.read().decode().splitlines()
    found = (line.rsplit(" ", 1)[1] for line in lines if line.startswith(COUNTER))
    return round(sum(map(float, found)))


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    folder = tmp_path_factory.mktemp("routing")
    made = Workers(folder / "discovery", {})
    made.discovery.mkdir()
    started: list[Served | Worker] = []
    for pace in (FAST, SLOW):
        engine = synthetic_engine(folder / f"engine{pace}", tokens_per_s=pace, slots=8)
        made.servers[pace] = Served(engine, folder / f"run{pace}", "--quality-gate", "off")
        started.append(made.servers[pace])
        started.append(Worker(f"pace{pace}", made.discovery, engine, [made.servers[pace]]))
    yield made
    for process in reversed(started):
        process.stop()


def run(workers: Workers, mode: str) -> tuple[float, Counter[int]]:
    """Seconds that all requests take through a frontend that routes so, and who answered."""
    frontend = Frontend(f"frontend-{mode}", workers.discovery, "--router-mode", mode)
    try:
        frontend.wait_for_workers(2)
        client = frontend.client()
        time.sleep(SETTLED_S)
        before, started = workers.served(), time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(
                pool.map(lambda n: streamed(client, f"Hi {n}", max_tokens=TOKENS), range(REQUESTS))
            )
        took = time.monotonic() - started
        wait_until(lambda: (workers.served() - before).total() == REQUESTS, 10, "the counts")
        return took, workers.served() - before
    finally:
        frontend.stop()
        assert "Rejected" not in frontend.log.read_text()


def test_least_loaded_is_faster(workers: Workers) -> None:
    took, shares = {}, {}
    for mode in ("round-robin", "least-loaded"):
        took[mode], shares[mode] = run(workers, mode)
        print(f"{mode}: {took[mode]:.1f} s, fast {shares[mode][FAST]}, slow {shares[mode][SLOW]}")
    assert shares["round-robin"] == {FAST: REQUESTS // 2, SLOW: REQUESTS // 2}
    assert shares["least-loaded"][FAST] > 2 * shares["least-loaded"][SLOW] > 0
    assert took["least-loaded"] < 0.6 * took["round-robin"]
