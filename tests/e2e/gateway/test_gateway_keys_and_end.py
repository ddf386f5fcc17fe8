"""Keys, limits, drain."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gemma4_testing.servers.running_gateway import GEMMA4, LONG, RunningGateway, chat
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

CHAT = "/v1/chat/completions"


def new_key(path: Path, name: str) -> str:
    ran = subprocess.run(
        [GEMMA4, "gateway", "new-key", "--name", name, "--api-keys-file", path],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.strip()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_keys_and_their_limits(server: Served, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = new_key(path, "team-a")
    running = RunningGateway(
        server.grpc, args=("--api-keys-file", str(path), "--key-requests-per-minute", "4"),
        env={"GEMMA4_GATEWAY_API_KEY": "from-the-environment"},
    )  # fmt: skip
    with running.http() as http:
        for headers, code in (({}, "missing_api_key"), (bearer(key + "x"), "invalid_api_key"),
                              ({"authorization": f"Basic {key}"}, "missing_api_key")):  # fmt: skip
            for reply in (
                http.get("/v1/models", headers=headers),
                http.post(CHAT, headers=headers),
            ):
                assert (reply.status_code, reply.json()["error"]["code"]) == (401, code)
                assert reply.headers["www-authenticate"] == "Bearer"
        assert http.get("/health/ready").status_code == http.get("/metrics").status_code == 200
        assert http.post("/tokenize", json={"prompt": "x"}).status_code == 401
        for _ in range(4):
            assert http.post(CHAT, json=chat(), headers=bearer(key)).status_code == 200
        reply = http.post(CHAT, json=chat(), headers=bearer(key))
        assert (reply.status_code, reply.json()["error"]["code"]) == (429, "requests_per_minute")
        assert 1 <= int(reply.headers["retry-after"]) <= 15
        other = bearer("from-the-environment")
        assert http.post(CHAT, json=chat(), headers=other).status_code == 200
        added = new_key(path, "team-b")
        running.wait_for('"event":"keys_read"')
        assert http.post(CHAT, json=chat(), headers=bearer(added)).status_code == 200
        path.write_text("{")
        running.wait_for('"event":"keys_kept"')
        assert http.post(CHAT, json=chat(), headers=bearer(added)).status_code == 200
        metrics = http.get("/metrics").text
        assert 'gemma4_gateway_limited_total{limit="requests_per_minute"} 1.0' in metrics
        assert 'gemma4_gateway_completion_tokens_total{key="team-a"}' in metrics
    assert running.stop() == 0
    assert '"key":"team-a"' in running.text
    for secret in (key, added, "from-the-environment"):
        assert secret not in running.text


def test_cors_only_when_asked(server: Served, http: httpx.Client) -> None:
    preflight = {"origin": "https://a.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in http.options(CHAT, headers=preflight).headers
    running = RunningGateway(
        server.grpc,
        args=("--cors-origin", "https://a.example"),
        env={"GEMMA4_GATEWAY_API_KEY": "k"},
    )
    with running.http() as web:
        reply = web.options(CHAT, headers=preflight)
        assert reply.headers["access-control-allow-origin"] == "https://a.example"
        # what OpenAI's JavaScript package sends along
        more = "authorization,content-type,idempotency-key,openai-beta,openai-organization,"
        more += "openai-project,x-stainless-arch,x-stainless-retry-count,x-stainless-timeout"
        reply = web.options(CHAT, headers=preflight | {"access-control-request-headers": more})
        assert reply.status_code == 200
        assert reply.headers["access-control-allow-headers"] == more
        refused = web.get("/v1/models", headers={"origin": "https://a.example"})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://a.example"
        other = web.options(CHAT, headers=preflight | {"origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers
    assert running.stop() == 0


def begun(http: httpx.Client, **more: Any) -> tuple[httpx.Response, Iterator[str]]:
    """A streamed answer that has begun, as (response, iterator of lines)."""
    request = http.build_request("POST", CHAT, json=chat("x", stream=True, **LONG, **more))
    reply = http.send(request, stream=True)
    lines = reply.iter_lines()
    assert next(lines).startswith("data: ")
    return reply, lines


def test_drain(server: Served) -> None:
    running = RunningGateway(server.grpc, args=("--grace", "60"))
    with running.http() as http, running.http() as other:
        assert other.get("/health/ready").status_code == 200
        _, lines = begun(http)
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: other.get("/health/ready").status_code == 503, 5)
        assert other.get("/health/ready").json()["status"] == "draining"
        reply = other.post(CHAT, json=chat())
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "draining")
        assert "retry-after" in reply.headers
        assert list(lines)[-2] == "data: [DONE]"
    assert running.process.wait(10) == 0


def test_a_drain_ends_connections_with_their_answers(server: Served) -> None:
    """A client that was not told of the end may send its next request at once: that is refused."""
    running = RunningGateway(server.grpc, args=("--grace", "60"))
    body = json.dumps(chat(stream=True, min_tokens=300, max_tokens=300)).encode()
    head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    head += b"content-length: %d\r\n\r\n"
    with running.http() as http, running.http() as other:
        with socket.create_connection(("127.0.0.1", running.port), 60) as kept:
            assert other.get("/health/ready").status_code == 200
            _, lines = begun(http)
            kept.sendall(head % (CHAT.encode(), len(body)) + body)
            data = kept.recv(65536)
            assert data.startswith(b"HTTP/1.1 200") and b"connection: close" not in data
            running.process.send_signal(signal.SIGTERM)
            wait_until(lambda: other.get("/health/ready").status_code == 503, 5)
            assert other.get("/health/live").headers["connection"] == "close"
            while not data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
                piece = kept.recv(65536)
                assert piece, data
                data += piece
            kept.sendall(head % (CHAT.encode(), len(body)) + body)
            last = b"".join(iter(lambda: kept.recv(65536), b""))
            assert last.startswith(b"HTTP/1.1 503") and b"connection: close\r\n" in last
        assert running.process.poll() is None  # the other answer runs
        assert list(lines)[-2] == "data: [DONE]"
    assert running.process.wait(10) == 0


def test_grace_is_over(server: Served) -> None:
    running = RunningGateway(server.grpc, args=("--grace", "0.1"))
    with running.http() as http:
        _, lines = begun(http)
        running.process.send_signal(signal.SIGTERM)
        last = [line for line in lines if line][-1]
        assert json.loads(last[6:])["error"]["code"] == "draining"
    assert running.process.wait(10) == 0
    wait_until(server.idle, 0.5)


def test_the_second_signal_ends_at_once(server: Served) -> None:
    running = RunningGateway(server.grpc)
    with running.http() as http:
        kept = begun(http)  # an answer that nobody holds is closed, and the drain is over
        running.process.send_signal(signal.SIGINT)
        wait_until(lambda: http_status(running) == 503, 5)
        running.process.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert running.process.wait(5) == 130
        assert time.monotonic() - started < 1
        del kept
    wait_until(server.idle, 0.5)


def http_status(running: RunningGateway) -> int:
    with running.http() as http:
        return http.get("/health/ready").status_code


def test_without_a_back_end(unused_port: int) -> None:
    running = RunningGateway(unused_port)
    assert "NOT READY" in running.text
    with running.http() as http:
        assert http.get("/health/live").status_code == 200
        ready = http.get("/health/ready")
        assert ready.status_code == 503
        assert f"no server at 127.0.0.1:{unused_port}" in ready.json()["backends"][0]["reason"]
        reply = http.post(CHAT, json=chat())
        assert reply.status_code == 503
        assert f"127.0.0.1:{unused_port}" in reply.json()["error"]["message"]
        assert "retry-after" in reply.headers
        assert http.post("/tokenize", json={"prompt": "x"}).status_code == 503
    assert running.stop() == 0


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]
