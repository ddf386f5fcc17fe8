"""What Dynamo's own readers make of our reports of the load: the router's check for busy workers, and
the reader of the planner's events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest
from check_faults import begin
from cluster import Frontend, Process, ask
from conftest import Cluster
from gemma4_testing.waiting import wait_until

SLOTS = 4
"""Of one server: :func:`conftest.engine`. It has 256 blocks."""

OVERLOADED = 529
"""Status of Dynamo's frontend when all workers are busy by its thresholds."""


@pytest.fixture
def planner(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    """A file of reports, which Dynamo's own reader of the planner's events writes."""
    reports = tmp_path / "reports.jsonl"
    reader = Process(
        "planner-reader", cluster.discovery, "dynamo.common.recv_forward_pass_metrics",
        "--namespace", "dynamo", "--component", "backend", "--endpoint", "generate",
        "--output", str(reports), "--flush-interval", "0.1",
    )  # fmt: skip
    yield reports
    reader.stop()


def read(reports: Path) -> list[dict[str, Any]]:
    lines = reports.read_text().splitlines() if reports.exists() else []
    return [json.loads(line)["metrics"] for line in lines if line.endswith("}")]


def test_the_planner_reads_what_runs_and_what_waits(cluster: Cluster, planner: Path) -> None:
    """All eight slots decode and one request waits; then nothing does."""
    client = cluster.client()
    wait_until(lambda: len({r["worker_id"] for r in read(planner)}) == 2, 30, "both workers")
    with ExitStack() as stack:
        for _ in range(2 * SLOTS):
            stack.callback(begin(client).close)
        since = len(read(planner))
        time.sleep(2)
        busy = read(planner)[since:]
    assert len(busy) >= 8, "four a second of each worker"
    for report in busy[-4:]:
        scheduled = report["scheduled_requests"]
        assert scheduled["num_decode_requests"] == SLOTS
        assert scheduled["sum_decode_kv_tokens"] > SLOTS * 20
        assert 0 < report["wall_time"] < 1
    since = len(read(planner))
    time.sleep(2)
    last = read(planner)[since:][-2:]
    assert [r["scheduled_requests"]["num_decode_requests"] for r in last] == [0, 0]
    assert [r["wall_time"] for r in last] == [0, 0]


def test_the_router_reads_the_kv_blocks(cluster: Cluster) -> None:
    """A frontend that takes a worker with more than a twentieth of its blocks in use for busy
    refuses while all are, and no longer. The streams come by another frontend, so that it knows of
    them from our reports alone."""
    threshold = "--active-decode-blocks-threshold"
    careful = Frontend("frontend-careful", cluster.discovery, threshold, "0.05")
    client = careful.client()

    def busy() -> bool:
        try:
            ask(client, max_tokens=1)
        except openai.APIStatusError as error:
            assert error.status_code == OVERLOADED, error
            return True
        return False

    try:
        careful.wait_for_workers(2)
        assert not busy()
        with ExitStack() as stack:
            for _ in range(2 * SLOTS):
                stack.callback(begin(cluster.client()).close)
            took = wait_until(busy, 60, "both are busy")
            print(f"refused {took:.1f} s after eight streams began")
        took = wait_until(lambda: not busy(), 10, "neither is")
        print(f"answered {took:.1f} s after they ended")
    finally:
        careful.stop()
