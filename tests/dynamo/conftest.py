"""One cluster for all tests, which each leave with two workers that answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from cluster import Frontend, Worker
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_testing.servers.served import Served

Served.start_s = 400
"""Seconds: the whole cluster starts at once, maybe on two busy cores."""

CHECKPOINT = Path(__file__).parents[2] / "demo" / "checkpoint"


class Cluster:
    """``places``: the names of the workers, each in front of the server of the same number."""

    def __init__(self, folder: Path, engine: Path) -> None:
        self.engine = engine
        self.discovery = folder / "discovery"
        self.discovery.mkdir()
        self.frontend = Frontend("frontend", self.discovery, "--migration-limit", "3")
        self._folder = folder
        self._started = 0
        self.servers = [self._server() for _ in range(2)]
        self.workers = [self.worker(0), self.worker(1)]
        self.frontend.wait_for_workers(2)

    def _server(self) -> Served:
        self._started += 1
        args = "--slots", "4", "--max-queued", "2", "--quality-gate", "off"
        return Served(self.engine, self._folder / f"run{self._started}", *args)

    def worker(self, place: int) -> Worker:
        """Start a worker in front of the server of this place."""
        self._started += 1
        name = f"worker{place}-{self._started}"
        return Worker(name, self.discovery, self.engine, [self.servers[place]])

    def client(self) -> openai.OpenAI:
        return self.frontend.client()

    def restore(self) -> None:
        """Start what a test has ended."""
        for place in range(2):
            if self.servers[place].process.poll() is not None:
                self.workers[place].stop()
                self.servers[place] = self._server()
            if self.workers[place].process.poll() is not None:
                self.workers[place] = self.worker(place)
        self.frontend.wait_for_workers(2)

    def close(self) -> None:
        for process in (*self.workers, self.frontend, *self.servers):
            process.stop()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, 4 slots."""
    folder = tmp_path_factory.mktemp("engines") / "f32"
    build_engine(
        BuildRequest(
            checkpoint=CHECKPOINT, out=folder, precision="f32", slots=4, max_total_tokens=2048
        ),
        SilentReporter(),
    )
    return folder


@pytest.fixture(scope="session")
def whole(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), engine)
    yield cluster
    cluster.close()


@pytest.fixture
def cluster(whole: Cluster) -> Cluster:
    whole.restore()
    return whole


@pytest.fixture
def client(cluster: Cluster) -> openai.OpenAI:
    return cluster.client()
