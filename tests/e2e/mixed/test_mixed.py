"""Random requests through ensemble, direct calls, feeds and gateway: each ends, no way breaks, and
greedy answers are the same by all of them, whole and streamed. `make test-random` sends 10,000."""

from __future__ import annotations

import asyncio
import os

import pytest
from gemma4_testing.fuzz.run import watched
from gemma4_testing.mixed.made import made
from gemma4_testing.mixed.paths import PATHS
from gemma4_testing.mixed.run import send
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served

SEED = int(os.environ.get("RANDOM_SEED", "1"))
COUNT = int(os.environ.get("RANDOM_COUNT", "400"))


@pytest.mark.timeout(300 + COUNT // 4)
def test_every_way_gives_the_same(server: Served) -> None:
    gateway = RunningGateway(server.grpc)
    try:
        with watched(server) as canary:
            report = asyncio.run(send(server.grpc, gateway.url, MODEL, seed=SEED, count=COUNT))
        assert gateway.process.poll() is None
        assert "Traceback" not in gateway.text
    finally:
        assert gateway.stop() == 0
    print(f"\n{report.table()}\n  {len(canary.seconds)} canaries, p99 {canary.p99 * 1000:.0f} ms")
    assert report.sent >= COUNT
    assert report.compared > COUNT / 4
    for way in PATHS:
        assert report.counts[way, "answer"] > 0 < report.counts[way, "INVALID_ARGUMENT"], way


def test_a_run_can_be_repeated() -> None:
    first, second = (repr([made(3, n) for n in range(300)]) for _ in "12")
    assert first == second
    assert made(3, 1) != made(4, 1)
