"""Least-loaded routing against round-robin, with one slow worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster import Frontend, Worker, streamed
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.served import Served

REQUESTS, AT_ONCE, TOKENS = 48, 8, 40
FAST, SLOW = 100, 10


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Path]:
    """A fast and a slow one (tokens/s of each stream); returns the folder of their discovery."""
    discovery = tmp_path / "discovery"
    discovery.mkdir()
    started: list[Served | Worker] = []
    for pace in (FAST, SLOW):
        engine = synthetic_engine(tmp_path / f"engine{pace}", tokens_per_s=pace, slots=8)
        server = Served(engine, tmp_path / f"run{pace}")
        started.append(server)
        started.append(Worker(f"pace{pace}", discovery, engine, [server]))
    yield discovery
    for process in reversed(started):
        process.stop()


def seconds(discovery: Path, mode: str) -> float:
    """How long the requests take through a frontend that routes so."""
    frontend = Frontend(f"frontend-{mode}", discovery, "--router-mode", mode)
    try:
        frontend.wait_for_workers(2)
        client = frontend.client()

        def one(number: int) -> str:
            return streamed(client, f"Hello {number}", max_tokens=TOKENS)

        started = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, range(REQUESTS)))
        return time.monotonic() - started
    finally:
        frontend.stop()


def test_least_loaded_is_faster(workers: Path) -> None:
    took = {mode: seconds(workers, mode) for mode in ("round-robin", "least-loaded")}
    print({mode: f"{each:.1f} s" for mode, each in took.items()})
    assert took["least-loaded"] < 0.7 * took["round-robin"]
