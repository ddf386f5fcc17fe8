"""A worker's start when something is wrong, with Dynamo's own library."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from check_routing import answers
from cluster import LOGS, Frontend, Worker, ask
from conftest import CHECKPOINT, Cluster
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_serve.ports import free_port
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

START_S = 180
LOW_PORTS = range(20_000, 2**15)
"""Dynamo takes no higher number for the port of its status pages."""


def start(*args: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gemma4_cli", "dynamo-worker", *args], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | env,
    )  # fmt: skip


def low_port() -> int:
    for port in random.sample(LOW_PORTS, 100):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@pytest.fixture
def engine_and_server(cluster: Cluster) -> tuple[str, ...]:
    return (f"--engine={cluster.engine}", f"--server=127.0.0.1:{cluster.servers[0].grpc}")


@pytest.mark.parametrize(
    ("options", "env", "says"),
    [
        (["--discovery-backend=kubernetes"], {}, "--discovery-backend kubernetes, .*POD_NAME"),
        (["--discovery-backend=file"], {"DYN_FILE_KV": "/etc/hostname/x"}, "Not a directory"),
        (["--discovery-backend=file"], {"DYN_SYSTEM_PORT": "49791"}, "DYN_.*SYSTEM_PORT"),
    ],
)
def test_what_dynamo_needs_is_named(
    engine_and_server: tuple[str, ...], tmp_path: Path, options: list[str], env: Any, says: str
) -> None:
    settings = {"DYN_FILE_KV": str(tmp_path)} | env
    process = start(*engine_and_server, f"--card-folder={tmp_path}/cards", *options, **settings)
    said, _ = process.communicate(timeout=START_S)
    (line,) = [line for line in said.splitlines() if line.startswith("gemma4: ")]
    assert process.returncode == 2 and "Traceback" not in said
    assert re.search(says, line)


def test_without_etcd_it_says_so_and_can_be_ended(
    engine_and_server: tuple[str, ...], tmp_path: Path
) -> None:
    process = start(*engine_and_server, f"--card-folder={tmp_path}/cards")
    assert process.stdout is not None
    said = ""
    while "etcd not reachable" not in said:
        said = process.stdout.readline()
        assert said, "it ended"
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == -signal.SIGTERM


def test_a_worker_that_starts_before_its_server(cluster: Cluster, tmp_path: Path) -> None:
    """It says what it waits for, and serves when the server is there."""
    port, discovery = free_port(), tmp_path / "discovery"
    discovery.mkdir()
    log = LOGS / "worker-early.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gemma4_cli", "dynamo-worker", f"--engine={cluster.engine}",
             f"--server=127.0.0.1:{port}", "--discovery-backend=file", "--health-interval=0.2",
             f"--card-folder={tmp_path}/cards"],
            stdout=out, stderr=out, env=os.environ | {"DYN_FILE_KV": str(discovery)},
        )  # fmt: skip
    server = None
    try:
        wait_until(lambda: "Connection refused" in log.read_text(), START_S, "the reason")
        server = Served(cluster.engine, tmp_path / "run", "--grpc-port", str(port),
                        "--quality-gate", "off")  # fmt: skip
        wait_until(lambda: '"serving"' in log.read_text(), START_S, "it serves")
        assert '"server_not_ready"' in log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        if server is not None:
            server.stop()


@pytest.fixture(scope="module")
def other_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model for half as many tokens."""
    folder = tmp_path_factory.mktemp("other") / "f32"
    build_engine(
        BuildRequest(
            checkpoint=CHECKPOINT, out=folder, precision="f32", slots=4, max_total_tokens=1024
        ),
        SilentReporter(),
    )
    return folder


def test_another_engine_than_the_servers(
    engine_and_server: tuple[str, ...], other_engine: Path, tmp_path: Path
) -> None:
    process = start(f"--engine={other_engine}", engine_and_server[1], "--discovery-backend=file",
                    DYN_FILE_KV=str(tmp_path))  # fmt: skip
    said, _ = process.communicate(timeout=START_S)
    assert process.returncode == 2
    assert "holds so many tokens of a request: 2048" in said.splitlines()[-1]


def test_a_second_server_with_another_engine_gets_nothing(
    cluster: Cluster, other_engine: Path, tmp_path: Path
) -> None:
    """Nor does a worker of another engine under the same name get a request from the frontend."""
    discovery = tmp_path / "discovery"
    discovery.mkdir()
    other = Served(other_engine, tmp_path / "run", "--quality-gate", "off")
    frontend = Frontend("frontend-mixed", discovery)
    worker = Worker("worker-mixed", discovery, cluster.engine, [cluster.servers[0], other])
    try:
        worker.wait_for('"server_not_ready"')
        assert "holds so many tokens of a request: 1024" in worker.log.read_text()
        frontend.wait_for_workers(1)
        stranger = Worker("worker-stranger", discovery, other_engine, [other])
        wait_until(lambda: "Rejected incompatible" in frontend.log.read_text(), START_S)
        right = cluster.servers[0]
        before, wrong = answers(right), answers(other)
        assert all(ask(frontend.client(), max_tokens=2) for _ in range(6))
        wait_until(lambda: answers(right) >= before + 6, 20, "the counts")
        assert answers(other) == wrong
        assert stranger.stop() == 0
    finally:
        frontend.stop()
        worker.stop()
        other.stop()


def test_the_health_page_follows_triton(cluster: Cluster, tmp_path: Path) -> None:
    """With Dynamo's health check on, as docker-compose.yml and the chart have it."""
    port, discovery = low_port(), tmp_path / "discovery"
    discovery.mkdir()
    server = Served(cluster.engine, tmp_path / "run", "--quality-gate", "off")
    settings = {"DYN_SYSTEM_PORT": str(port), "DYN_HEALTH_CHECK_ENABLED": "true"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        worker = Worker("worker-health", discovery, cluster.engine, [server])

    def status() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=4) as reply:
                return int(json.load(reply)["status"] == "ready") and int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    try:
        wait_until(lambda: status() == 200, START_S, "ready")
        server.stop()
        took = wait_until(lambda: status() == 503, START_S, "not ready")
        print(f"the page says so {took:.0f} s after Triton has ended")
    finally:
        worker.stop()
