"""Requests that wait in a gateway before a back end with one slot, over HTTP."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gemma4_testing.fakes.fake_backend import FakeBackend, fake_backend
from gemma4_testing.fakes.in_process_gateway import InProcess, gateway_before
from gemma4_testing.servers.running_gateway import RunningGateway, chat
from gemma4_testing.waiting import wait_until

HELD_S = 0.2
"""Seconds that an answer is held once others are seen to wait for its place."""


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    """Nothing is answered before the test lets it."""
    with fake_backend("held") as found:
        yield found


@pytest.fixture
def gateway(backend: FakeBackend) -> Iterator[InProcess]:
    with gateway_before(backend.address) as found:
        yield found


def waiting(gateway: InProcess) -> int:
    return sum(len(places.queue) for places in gateway.gateway.router.all_places)


def post(url: str, text: str = "hi", headers: dict[str, str] | None = None) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}]}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60)


def test_those_who_wait_are_answered_and_counted(gateway: InProcess, backend: FakeBackend) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = [pool.submit(post, gateway.url, f"hi {i}") for i in range(3)]
        for left in (2, 1, 0):
            wait_until(lambda left=left: waiting(gateway) == left, 30)  # type: ignore[misc]
            time.sleep(HELD_S)
            backend.let()
        assert [f.result().status_code for f in found] == [200] * 3
    with gateway.http() as http:
        text = http.get("/metrics").text
    assert 'gemma4_gateway_queue_seconds_count{key="anonymous"} 2.0' in text
    assert "gemma4_gateway_queued_tokens 0.0" in text
    lines = [json.loads(line) for line in gateway.log.getvalue().splitlines()]
    waits = sorted(line.get("queue_seconds") or 0 for line in lines if line["event"] == "request")
    assert waits[0] == 0 and waits[1] > 0.9 * HELD_S and waits[2] > 1.9 * HELD_S


def test_one_that_leaves_while_it_waits_is_gone_at_once(
    gateway: InProcess, backend: FakeBackend
) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, gateway.url)
        wait_until(lambda: len(backend.requests) == 1, 30)
        body = json.dumps({"messages": [{"role": "user", "content": "gone"}]}).encode()
        with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
            sock.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n" % len(body) + body
            )
            wait_until(lambda: waiting(gateway) == 1, 30)
        wait_until(lambda: waiting(gateway) == 0 and gateway.gateway.gate.running <= 1, 30)
        backend.let(2)
        assert first.result().status_code == 200
    assert post(gateway.url, "later").status_code == 200
    wait_until(lambda: any("later" in request for request in backend.requests), 30)
    assert not any("gone" in request for request in backend.requests)


def test_a_deadline_is_kept_while_it_waits(gateway: InProcess, backend: FakeBackend) -> None:
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(post, gateway.url) for _ in range(3)]
        wait_until(lambda: waiting(gateway) == 2, 30)
        reply = post(gateway.url, headers={"x-request-timeout": "0.2"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (429, "queue_timeout")
        assert reply.headers["retry-after"]
        assert waiting(gateway) == 2
        backend.let(3)
        assert [f.result().status_code for f in running] == [200] * 3
    reply = post(gateway.url, headers={"x-request-timeout": "soon"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "x-request-timeout")
    with gateway.http() as http:
        assert (
            'gemma4_gateway_limited_total{limit="queue_timeout"} 1.0' in http.get("/metrics").text
        )


def test_what_can_never_fit_is_named_while_others_wait(
    gateway: InProcess, backend: FakeBackend
) -> None:
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(post, gateway.url) for _ in range(2)]
        wait_until(lambda: waiting(gateway) == 1, 30)
        reply = gateway.chat("hi", max_tokens=200)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "max_tokens")
        assert "200 total tokens" in reply.json()["error"]["message"]
        backend.let(2)
        assert [f.result().status_code for f in running] == [200] * 2


def test_an_answer_that_a_drain_meets_says_that_its_connection_ends(
    gateway: InProcess, backend: FakeBackend
) -> None:
    """A client that took it for an open one would meet a reset with its next request."""
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(post, gateway.url)
        wait_until(lambda: backend.requests, 30)
        gateway.gateway.lifecycle.draining = True
        backend.let()
        assert found.result().headers.get_list("connection") == ["close"]
    reply = post(gateway.url)
    assert (reply.status_code, reply.headers.get_list("connection")) == (503, ["close"])


def test_a_connection_that_a_drain_finds_open_is_closed_after_a_moment(
    backend: FakeBackend,
) -> None:
    """Its answer had begun: its client may send the next request at once, or never."""
    body = json.dumps({"messages": [{"role": "user", "content": "x"}], "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with (
        gateway_before(backend.address, sse_keep_alive=0.05) as gateway,
        socket.create_connection(("127.0.0.1", gateway.port), 30) as sock,
    ):
        sock.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        data = sock.recv(65536)
        assert data.startswith(b"HTTP/1.1 200") and b"connection: close" not in data
        gateway.gateway.lifecycle.draining = True
        backend.let()
        data += b"".join(iter(lambda: sock.recv(65536), b""))
        assert data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_a_drain_lets_those_who_wait_have_their_answers(backend: FakeBackend) -> None:
    gateway = RunningGateway(backend.port)
    with ThreadPoolExecutor(3) as pool, gateway.http() as http:
        running = [
            pool.submit(
                httpx.post, f"{gateway.url}/v1/chat/completions", json=chat(f"hi {i}"), timeout=60
            )
            for i in range(3)
        ]

        def two_wait() -> bool:
            page = http.get("/metrics").text
            return bool(re.search(r"^gemma4_gateway_queued_requests.* 2\.0$", page, re.M))

        wait_until(two_wait, 30)
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: http.get("/health/ready").status_code == 503, 30)
        backend.let(3)
        assert [f.result().status_code for f in running] == [200] * 3
    assert gateway.process.wait(30) == 0
    wait_until(lambda: len(backend.requests) == 3, 30)
