"""A gateway of two worker processes, each with a will of its own only where it may have one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from gemma4_gateway.keys import add_key
from gemma4_testing.fakes.scripted_backend import scripted_backend
from gemma4_testing.servers.running_workers import Started
from gemma4_testing.waiting import wait_until

LONG = 60
"""Pieces of a long answer; one comes every 50 ms."""


def answer(messages: list[dict[str, Any]]) -> list[str]:
    return ["x"] * (LONG if messages[-1]["content"] == "stream" else 1)


@pytest.fixture(scope="module")
def backend() -> Iterator[int]:
    with scripted_backend(answer, pause=0.05) as found:
        yield int(found.address.rsplit(":", 1)[1])


@pytest.fixture
def start(backend: int) -> Iterator[Started]:
    started = Started(backend)
    yield started
    started.end()


def folders() -> set[Path]:
    return set(Path("/dev/shm").glob("gemma4-gateway-*"))


def test_both_answer_and_nothing_is_left(start: Started) -> None:
    before = folders()
    gateway = start()
    assert "workers          2 processes" in gateway.text
    assert gateway.text.count("The gateway is ready") == 1
    first, second = gateway.workers
    assert (gateway.number_of(first), gateway.number_of(second)) == (0, 1)
    assert gateway.ask(first).status_code == gateway.ask(second).status_code == 200
    gateway.wait_for('"event":"request"', times=2)
    lines = [json.loads(line) for line in gateway.output if '"event":"request"' in line]
    assert {line["worker"] for line in lines} == {0, 1}, "each writes its own, when it comes to it"
    supervisor = psutil.Process(gateway.process.pid)
    assert supervisor.num_threads() == 1, "it forks"
    groups = {os.getpgid(p.pid) for p in (supervisor, first, second)}
    assert len(groups) == 3, "a terminal's Ctrl-C would come twice"
    assert len(folders() - before) == 1
    assert gateway.stop() == 0
    assert not first.is_running() and not second.is_running()
    assert folders() == before


def test_a_worker_that_is_killed_breaks_its_own_streams_alone(start: Started) -> None:
    gateway = start()
    first, second = gateway.workers
    of_first = [gateway.stream(first) for _ in range(3)]
    of_second = [gateway.stream(second) for _ in range(3)]
    wait_until(lambda: gateway.metric("gemma4_gateway_running_requests") == 6, 5)
    first.kill()
    assert [stream.whole() for stream in of_first] == [False] * 3
    assert [stream.whole() for stream in of_second] == [True] * 3
    new = gateway.wait_replaced(first)
    assert '"cause":"killed by SIGKILL"' in gateway.text
    assert gateway.number_of(new) == 0 and gateway.ask(new).status_code == 200
    assert gateway.metric("gemma4_gateway_workers") == 2
    assert gateway.metric("gemma4_gateway_worker_restarts_total") == 1
    wait_until(lambda: gateway.metric("gemma4_gateway_running_requests") == 0, 5)
    assert gateway.stop() == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_drains_all(start: Started, sent: signal.Signals) -> None:
    gateway = start()
    workers = gateway.workers
    streams = [gateway.stream(worker) for worker in workers]
    kept = [gateway.http(), gateway.http()]
    gateway.process.send_signal(sent)
    for http in kept:

        def draining(http: httpx.Client = http) -> bool:
            return bool(http.get("/health/ready").json()["status"] == "draining")

        wait_until(draining, 5)
        http.close()
    if sent == signal.SIGHUP:  # a terminal that closes sends more than one
        gateway.process.send_signal(sent)
    assert [stream.whole() for stream in streams] == [True, True]
    assert gateway.process.wait(15) == 0
    assert not any(worker.is_running() for worker in workers)
    name = signal.Signals(sent).name
    assert gateway.text.count(f'"signal":"{name}","cut_off":0') == 2


def test_a_second_signal_ends_all_at_once(start: Started) -> None:
    gateway = start("--grace", "60")
    workers = gateway.workers
    streams = [gateway.stream(worker) for worker in workers]
    gateway.process.send_signal(signal.SIGINT)
    with gateway.http() as http:
        wait_until(lambda: http.get("/health/ready").json()["status"] == "draining", 5)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(3) == 130
    assert not any(worker.is_running() for worker in workers)
    assert [stream.whole() for stream in streams] == [False, False]


def test_workers_end_with_a_supervisor_that_is_killed(start: Started) -> None:
    """And the port is free for the next one."""
    gateway = start()
    workers = gateway.workers
    gateway.process.kill()
    wait_until(lambda: not any(worker.is_running() for worker in workers), 5)
    again = start("--port", str(gateway.port))
    assert again.port == gateway.port and again.stop() == 0


def test_metrics_are_those_of_all(start: Started) -> None:
    gateway = start()
    first, second = gateway.workers
    for worker in (first, first, second):
        assert gateway.ask(worker).status_code == 200
    name = 'gemma4_gateway_requests_total{route="chat",status="200"}'
    tokens = 'gemma4_gateway_completion_tokens_total{key="anonymous"}'
    seconds = 'gemma4_gateway_request_seconds_count{route="chat"}'
    wait_until(lambda: gateway.metric(name) == 3, 5)  # counted when the answer has gone
    for worker in (first, second):
        with gateway.only(worker) as http:
            text = http.get("/metrics").text
        assert f"{name} 3.0\n" in text and f"{tokens} 3.0\n" in text and f"{seconds} 3.0\n" in text
        assert text.count("# TYPE gemma4_gateway_requests_total counter") == 1
        assert 'pid="' not in text
    second.kill()
    new = gateway.wait_replaced(second)
    assert gateway.metric(name) == 3, "counters of one that was killed stay"
    assert gateway.ask(new).status_code == 200
    wait_until(lambda: gateway.metric(name) == 4, 5)
    assert gateway.stop() == 0


def test_limits_hold_over_workers(start: Started) -> None:
    gateway = start("--key-requests-per-minute", "4")
    first, second = gateway.workers
    found = [gateway.ask(worker).status_code for worker in (first, second, second, first)]
    assert found == [200] * 4
    for worker in (first, second):
        reply = gateway.ask(worker)
        assert (reply.status_code, reply.json()["error"]["code"]) == (429, "requests_per_minute")
    assert gateway.stop() == 0


@pytest.mark.parametrize(
    ("option", "code"), [("--key-max-running", "max_running"), ("--max-running", "gateway_full")]
)
def test_as_many_run_as_may_whichever_worker_has_them(
    start: Started, option: str, code: str
) -> None:
    """And those of a worker that was killed count no longer."""
    gateway = start(option, "2")
    first, second = gateway.workers
    lost, stays = gateway.stream(first), gateway.stream(second)
    for worker in (first, second):
        reply = gateway.ask(worker)
        assert (reply.status_code, reply.json()["error"]["code"]) == (429, code)
    first.kill()
    wait_until(lambda: gateway.ask(second).status_code == 200, 5)
    assert (lost.whole(), stays.whole()) == (False, True)
    assert gateway.stop() == 0


def test_keys_are_read_again_by_all(start: Started, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old = add_key(path, "old")
    gateway = start("--api-keys-file", str(path))
    assert [gateway.ask(w, authorization=f"Bearer {old}").status_code for w in gateway.workers] == [
        200
    ] * 2
    new = add_key(path, "new")
    gateway.wait_for('"event":"keys_read"', times=2)
    assert [gateway.ask(w, authorization=f"Bearer {new}").status_code for w in gateway.workers] == [
        200
    ] * 2
    assert gateway.stop() == 0


def test_a_response_that_one_stored_is_found_by_the_other(start: Started, tmp_path: Path) -> None:
    gateway = start("--response-store", str(tmp_path / "responses.db"))
    first, second = gateway.workers
    with gateway.only(first) as http:
        made = http.post("/v1/responses", json={"model": "gemma-4-demo", "input": "short"}).json()
    with gateway.only(second) as http:
        assert http.get(f"/v1/responses/{made['id']}").json()["id"] == made["id"]
    assert gateway.stop() == 0
