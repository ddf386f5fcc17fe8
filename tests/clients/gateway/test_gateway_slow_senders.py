"""Those who send slowly, or too much before a request, cost nobody else an answer."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from gemma4_gateway.body.uploads import Uploads
from gemma4_gateway.errors import ApiError
from gemma4_testing.fakes.canary import Canary
from gemma4_testing.fakes.fake_backend import FakeBackend, fake_backend
from gemma4_testing.fakes.in_process_gateway import gateway_before
from gemma4_testing.servers.running_gateway import RunningGateway

HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n"
)
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


@pytest.fixture(scope="module")
def backend() -> Iterator[FakeBackend]:
    with fake_backend("good") as found:
        yield found


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def whole_of(connection: socket.socket, data: bytes = b"") -> bytes:
    """A reply that has JSON as its body, in as many pieces as it comes; ``data`` is its start."""
    while not (b"\r\n\r\n" in data and data.endswith(b"}")):
        more = connection.recv(65536)
        assert more, data
        data += more
    return data


def reply_of(connection: socket.socket) -> tuple[int, dict]:
    head, _, body = whole_of(connection).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_200_tricklers_take_no_place(backend: FakeBackend) -> None:
    running = RunningGateway(backend.port, args=("--max-running", "8", "--served-model-name", "m"))
    sockets = []
    try:
        for _ in range(200):
            sock = connected(running.port)
            sock.sendall(HEAD % 1000 + b"\r\n{")
            sockets.append(sock)
        with Canary(running.port) as canary:
            for _ in range(5):
                for sock in sockets:
                    sock.sendall(b" ")
                time.sleep(0.2)
        assert len(canary.seconds) > 20
        assert not canary.wrong
        assert canary.quantile(0.99) < 1.0
        with running.http() as http:
            metrics = http.get("/metrics").text
        assert "gemma4_gateway_uploads 200.0" in metrics
        assert "gemma4_gateway_running_requests 0.0" in metrics
    finally:
        for sock in sockets:
            sock.close()
        assert running.stop() == 0
    assert "Traceback" not in running.text


def test_a_body_has_one_deadline(backend: FakeBackend) -> None:
    with gateway_before(backend.address) as gateway:
        gateway.gateway.uploads._deadline = 0.5
        with closing(connected(gateway.port)) as sock:
            sock.sendall(HEAD % 1000 + b"\r\n")
            started = time.monotonic()
            sock.settimeout(0.1)
            data = b""
            while time.monotonic() - started < 10 and not data:
                sock.sendall(b" ")  # it never stops sending
                try:
                    data = sock.recv(65536)
                except TimeoutError:
                    continue
            assert 0.4 < time.monotonic() - started < 5
            sock.settimeout(10)
            data = whole_of(sock, data)
            assert data.startswith(b"HTTP/1.1 408 ")
            assert b'"code":"body_timeout"' in data
            assert b"connection: close" in data
        assert gateway.gateway.uploads.under_way == gateway.gateway.uploads.held == 0


def test_a_client_that_leaves_in_its_body(backend: FakeBackend) -> None:
    with gateway_before(backend.address) as gateway:
        for _ in range(20):
            with closing(connected(gateway.port)) as sock:
                sock.sendall(HEAD % 1000 + b"\r\n{")
        end = time.monotonic() + 10
        while gateway.gateway.uploads.under_way or gateway.log.getvalue().count("499") < 20:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert gateway.gateway.uploads.held == 0
        assert gateway.gateway.gate.running == 0
        assert gateway.chat("hi").status_code == 200


def test_a_slow_head_and_a_silent_connection(backend: FakeBackend) -> None:
    with gateway_before(backend.address, head_s=0.5) as gateway:
        for first in (b"", b"GET /health/li", HEAD % 10, b"\r\n"):
            with closing(connected(gateway.port)) as sock:
                if first:
                    sock.sendall(first)
                started = time.monotonic()
                assert sock.recv(100) == b""
                assert time.monotonic() - started < 10
        with closing(connected(gateway.port)) as sock:  # after an answer, on the same connection
            sock.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
            assert reply_of(sock)[0] == 200
            sock.sendall(b"GET /health/live HT")
            assert sock.recv(100) == b""
        with gateway.http() as http:
            assert 'connections_cut_total{reason="head_timeout"} 5.0' in http.get("/metrics").text


HUGE = [
    b"x-a: " + b"a" * 100_000 + b"\r\n",
    b"".join(b"x-%d: a\r\n" % i for i in range(10_000)),
    b"".join(b"x-%d: %s\r\n" % (i, b"a" * 1000) for i in range(100)),
    b"authorization: Bearer " + b"a" * 70_000 + b"\r\n",
]


@pytest.mark.parametrize("headers", HUGE)
@pytest.mark.parametrize("pieces", [1 << 20, 1000])
def test_a_head_that_is_too_large(backend: FakeBackend, headers: bytes | str, pieces: int) -> None:
    with gateway_before(backend.address) as gateway, closing(connected(gateway.port)) as sock:
        data = HEAD % len(BODY) + headers + b"\r\n" + BODY
        try:
            for at in range(0, len(data), pieces):
                sock.sendall(data[at : at + pieces])
            status, reply = reply_of(sock)
        except ConnectionError:
            pass  # cut off while it still sent
        else:
            assert (status, reply["error"]["code"]) == (431, "head_too_large")
        assert gateway.chat("hi").status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_what_is_not_http(backend: FakeBackend, data: bytes) -> None:
    with gateway_before(backend.address) as gateway, closing(connected(gateway.port)) as sock:
        sock.sendall(data)
        status, reply = reply_of(sock)
        assert 400 <= status < 500
        assert set(reply["error"]) == {"message", "type", "param", "code"}
        assert "Traceback" not in gateway.log.getvalue()


def test_the_oldest_connection_makes_way(backend: FakeBackend) -> None:
    with gateway_before(backend.address, most_connections=40) as gateway:
        sockets = [connected(gateway.port) for _ in range(100)]
        assert gateway.chat("hi").status_code == 200
        assert sockets[0].recv(10) == b""
        sockets[-1].sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert reply_of(sockets[-1])[0] == 200
        for sock in sockets:
            sock.close()


def test_a_body_that_goes_on_after_its_answer(backend: FakeBackend) -> None:
    """Of a request that is refused before its body is read."""
    with gateway_before(backend.address) as gateway, closing(connected(gateway.port)) as sock:
        sock.sendall((HEAD % 10_000_000).replace(b"/v1/chat/completions", b"/nope") + b"\r\n{")
        assert reply_of(sock)[0] == 404
        started = time.monotonic()
        assert sock.recv(10) == b""
        assert time.monotonic() - started < 15


def chunks(*parts: bytes, gate: asyncio.Event | None = None) -> Any:
    """An ASGI ``receive`` of these parts; the last one waits for ``gate``."""
    left = list(parts)

    async def receive() -> Any:
        if len(left) == 1 and gate is not None:
            await gate.wait()
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    return receive


def test_the_oldest_upload_makes_way() -> None:
    async def run() -> None:
        uploads = Uploads(100, most_uploads=3)
        never = asyncio.Event()
        slow = [asyncio.create_task(uploads.read(chunks(b"a", b"b", gate=never))) for _ in range(3)]
        await asyncio.sleep(0)
        assert await uploads.read(chunks(b"whole")) == b"whole"
        with pytest.raises(ApiError, match="too slowly") as caught:
            await slow[0]
        assert caught.value.status == 408
        never.set()
        assert [await task for task in slow[1:]] == [b"ab", b"ab"]
        uploads.release(5)
        uploads.release(4)
        assert (uploads.held, uploads.under_way, uploads.evictions) == (0, 0, 1)

    asyncio.run(run())


def test_bytes_are_bounded() -> None:
    async def run() -> None:
        uploads = Uploads(100, most_bytes=150)
        never = asyncio.Event()
        slow = asyncio.create_task(uploads.read(chunks(b"a" * 90, b"b", gate=never)))
        await asyncio.sleep(0)
        assert len(await uploads.read(chunks(b"c" * 90))) == 90
        with pytest.raises(ApiError, match="too slowly"):
            await slow
        with pytest.raises(ApiError) as caught:
            await uploads.read(chunks(b"d" * 90))
        assert (caught.value.status, caught.value.code) == (429, "gateway_full")
        with pytest.raises(ApiError) as caught:
            await uploads.read(chunks(b"e" * 50, b"e" * 51))
        assert caught.value.status == 413
        uploads.release(90)
        assert len(await uploads.read(chunks(b"d" * 90))) == 90
        uploads.release(90)
        assert uploads.held == 0

    asyncio.run(run())
