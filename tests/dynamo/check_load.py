"""What Dynamo's own readers of the load see: the router's gauges in the frontend's metrics, and the
planner's reports."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from check_faults import begin
from cluster import Process
from conftest import Cluster
from gemma4_testing.waiting import wait_until

SLOTS, BLOCKS = 4, 4 * 2048 // 32
"""Of one server: :func:`conftest.engine`."""


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


def gauges(cluster: Cluster, name: str) -> list[float]:
    """Of each worker, as the router has it."""
    with urllib.request.urlopen(f"{cluster.frontend.url}/metrics", timeout=9) as reply:
        text = reply.read().decode()
    return [float(v) for v in re.findall(rf"^dynamo_frontend_{name}{{.*}} (\S+)$", text, re.M)]


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
    client = cluster.client()
    with ExitStack() as stack:
        for _ in range(2):
            stack.callback(begin(client).close)
        wait_until(
            lambda: sum(v > 0 for v in gauges(cluster, "worker_active_decode_blocks")) == 2, 10,
            "blocks of both workers",
        )  # fmt: skip
    wait_until(lambda: not any(gauges(cluster, "worker_active_decode_blocks")), 10, "no blocks")
