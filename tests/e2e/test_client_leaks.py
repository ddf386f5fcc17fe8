"""Thousands of requests leave nothing behind, in the client and in the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gemma4_runtime.server.board import Field
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

SCRIPT = Path(__file__).parents[2] / "bench" / "leaks.py"
REQUESTS = 4_000  # bench/leaks.py itself asks 10,000 times


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The synthetic engine, as fast as it can."""
    folder = tmp_path_factory.mktemp("fast")
    synthetic_engine(folder / "engine", tokens_per_s=100_000.0, slots=64)
    served = Served(folder / "engine", folder / "run")
    yield served
    assert served.stop() == 0


def test_nothing_grows(fast: Served) -> None:
    before = fast.board()[Field.ACCEPTED]
    ran = subprocess.run(
        [
            sys.executable, SCRIPT, "--requests", str(REQUESTS),
            "--grpc", f"127.0.0.1:{fast.grpc}", "--http", f"127.0.0.1:{fast.http}",
        ],
        capture_output=True, text=True, timeout=200,
        # Threads of closed clients leave arenas of glibc behind, which are used again.
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["requests"] == REQUESTS
    wait_until(fast.idle, 5)
    # Some were cancelled before they left.
    assert 0.8 * REQUESTS < fast.board()[Field.ACCEPTED] - before <= REQUESTS
