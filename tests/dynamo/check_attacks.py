"""Requests that no frontend sends, and ends and restarts at bad moments."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from check_faults import begin
from cluster import MODEL, Frontend, Worker, ask
from conftest import Cluster
from gemma4_serve.ports import free_port
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

DIRECT = Path(__file__).with_name("direct_client.py")
LONGEST_S = 120
RIGHT: dict[str, Any] = {
    "token_ids": [2, 105],
    "stop_conditions": {"max_tokens": 2},
    "sampling_options": {"temperature": 0.0},
}
END = {"token_ids": [], "index": 0, "finish_reason": "length"}


def direct(discovery: Path, requests: list[Any]) -> list[Any]:
    """Send them to the worker's endpoint without a frontend; return the chunks of each, or its
    error."""
    done = subprocess.run(
        [sys.executable, str(DIRECT)], input=json.dumps(requests), text=True, check=True,
        stdout=subprocess.PIPE, timeout=LONGEST_S,
        env=os.environ | {"DYN_FILE_KV": str(discovery), "DYN_LOG": "error"},
    )  # fmt: skip
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_requests_that_no_frontend_sends(cluster: Cluster) -> None:
    """Each is refused by the name of the field, and the worker goes on."""
    wrong = [
        ("x", "request: 'x' is no object"),
        ([1], "request: .* is no object"),
        (RIGHT | {"token_ids": []}, "prompt_token_ids"),
        (RIGHT | {"token_ids": [2, -1]}, "prompt_token_ids.*-1"),
        (RIGHT | {"token_ids": [2, 262_144]}, "prompt_token_ids.*262144"),
        (RIGHT | {"token_ids": [2, 2**40]}, "prompt_token_ids.*1099511627776"),
        (RIGHT | {"token_ids": ["x"]}, "token_ids: 'x' is no integer"),
        (RIGHT | {"token_ids": [2] * 200_000}, "prompt"),
        (RIGHT | {"stop_conditions": {"max_tokens": -1}}, "max_tokens"),
        (RIGHT | {"sampling_options": {"seed": "x"}}, "sampling_options.seed"),
    ]
    found = direct(cluster.discovery, [request for request, _ in wrong] + [RIGHT])
    for (request, says), answer in zip(wrong, found, strict=False):
        assert isinstance(answer, str), (str(request)[:80], answer)
        assert re.search(says, answer), (str(request)[:80], answer)
    assert [c.get("finish_reason") for c in found[-1]][-1] == "length"


def test_an_answer_that_lacks_only_its_end(cluster: Cluster) -> None:
    """What Dynamo sends when a worker dies after the last token: 0 tokens more."""
    request = RIGHT | {"stop_conditions": {"max_tokens": 0, "min_tokens": 2}}
    (chunks,) = direct(cluster.discovery, [request])
    assert [{k: c[k] for k in END} for c in chunks] == [END]


@pytest.mark.parametrize("ids", [[2, 262_144], [2, 2**32 - 1], [2] * 100_000])
def test_token_ids_of_a_client(client: openai.OpenAI, ids: list[int]) -> None:
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model=MODEL, prompt=ids, max_tokens=2)
    assert ask(client, max_tokens=2)


def test_a_huge_prompt(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as found:
        ask(client, "word " * 1_000_000, max_tokens=2)
    assert found.value.status_code in (400, 413)
    assert ask(client, max_tokens=2)


@pytest.fixture
def pair(cluster: Cluster, tmp_path: Path) -> Iterator[tuple[Frontend, Worker]]:
    """A frontend and a worker of their own, over the first server."""
    discovery = tmp_path / "discovery"
    discovery.mkdir()
    frontend = Frontend("frontend-attacks", discovery)
    options = "--drain-delay", "0.5", "--grace", "1"
    worker = Worker("worker-attacks", discovery, cluster.engine, [cluster.servers[0]], *options)
    frontend.wait_for_workers(1)
    yield frontend, worker
    if worker.process.poll() is None:
        worker.kill()
    frontend.stop()


def test_a_second_signal(pair: tuple[Frontend, Worker], cluster: Cluster) -> None:
    frontend, worker = pair
    with begin(frontend.client()):
        worker.process.send_signal(signal.SIGTERM)
        worker.wait_for('"draining"')
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(5) == 130
    assert wait_until(cluster.servers[0].idle, 10, "the engine goes on") < 2


def test_a_client_that_does_not_read(pair: tuple[Frontend, Worker]) -> None:
    """It holds an answer open for as long as it likes, but not the worker."""
    frontend, worker = pair
    body = json.dumps({
        "model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "stream": True,
        "max_tokens": 1900, "min_tokens": 1900, "logprobs": True, "top_logprobs": 20,
    }).encode()  # fmt: skip
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", frontend.port))
        connection.sendall(head.encode() + body)
        connection.recv(100)
        time.sleep(3)
        worker.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert worker.process.wait(60) == 0
        print(f"the worker ended after {time.monotonic() - started:.1f} s")
        assert time.monotonic() - started < 30


def test_a_discovery_folder_that_goes(pair: tuple[Frontend, Worker], tmp_path: Path) -> None:
    """The worker says so and ends in order, with what runs."""
    _, worker = pair
    (tmp_path / "discovery").rename(tmp_path / "gone")
    (tmp_path / "discovery").write_text("no folder")
    time.sleep(3)
    print(worker.log.read_text()[-1500:])
    assert worker.stop() == 0
    assert "Traceback" not in worker.log.read_text()


def test_a_triton_that_starts_again(cluster: Cluster, tmp_path: Path) -> None:
    """At the same port: the worker leaves discovery, and joins it again."""
    port, discovery = free_port(), tmp_path / "discovery"
    discovery.mkdir()
    options = "--grpc-port", str(port), "--quality-gate", "off"
    server = Served(cluster.engine, tmp_path / "run", *options)
    frontend = Frontend("frontend-again", discovery)
    worker = Worker("worker-again", discovery, cluster.engine, [server])
    try:
        frontend.wait_for_workers(1)
        server.process.kill()
        server.process.wait()
        worker.wait_for('"left_discovery"')
        server = Served(cluster.engine, tmp_path / "run2", *options)
        took = wait_until(lambda: '"joined_discovery"' in worker.log.read_text(), 60)
        print(f"it joined {took:.1f} s after Triton was ready")
        frontend.wait_for_workers(1)
        assert worker.stop() == 0
    finally:
        for process in (worker, frontend, server):
            process.stop()
