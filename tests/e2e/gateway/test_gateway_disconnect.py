"""A client that leaves frees its slot within 0.5 s; one that reads slowly does not hold others."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from gemma4_runtime.server.board import Field
from gemma4_testing.servers.running_gateway import LONG, RunningGateway, chat
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

CANCEL_S = 0.5
CHAT = "/v1/chat/completions"


def opened(gateway: RunningGateway, body: dict[str, Any]) -> socket.socket:
    """A raw connection that has sent its request."""
    data = json.dumps(body).encode()
    sock = socket.create_connection(("127.0.0.1", gateway.port))
    sock.settimeout(30)
    sock.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n" % len(data) + data
    )
    return sock


def active(server: Served) -> bool:
    return server.board()[Field.ACTIVE] == 1


def test_a_stream_that_is_left(gateway: RunningGateway, server: Served) -> None:
    sock = opened(gateway, chat("x", stream=True, **LONG))
    assert b"200 OK" in sock.recv(65536)
    wait_until(lambda: active(server), 5)
    sock.close()
    wait_until(server.idle, CANCEL_S)
    gateway.wait_for('"status":499')


def test_a_whole_answer_that_is_left(gateway: RunningGateway, server: Served) -> None:
    sock = opened(gateway, chat("x", **LONG))
    wait_until(lambda: active(server), 5)
    sock.close()
    wait_until(server.idle, CANCEL_S)


def test_all_choices_are_left(gateway: RunningGateway, server: Served) -> None:
    sock = opened(gateway, chat("x", stream=True, n=4, **LONG))
    assert b"200 OK" in sock.recv(65536)
    wait_until(lambda: server.board()[Field.ACTIVE] == 4, 5)
    sock.close()
    wait_until(server.idle, CANCEL_S)


def test_a_client_that_leaves_while_it_waits_for_a_slot(
    gateway: RunningGateway, server: Served
) -> None:
    running = [opened(gateway, chat("x", stream=True, **LONG)) for _ in range(8)]
    wait_until(lambda: server.board()[Field.ACTIVE] == 8, 10)
    waiting = opened(gateway, chat("x", stream=True, **LONG))
    wait_until(lambda: server.board()[Field.QUEUED] == 1, 5)
    waiting.close()
    wait_until(lambda: server.board()[Field.QUEUED] == 0, CANCEL_S)
    assert server.board()[Field.ACTIVE] == 8
    for sock in running:
        sock.close()
    wait_until(server.idle, 2)


def test_half_closing_is_leaving(gateway: RunningGateway, server: Served) -> None:
    """HTTP/1.1 lets a server take it so, and uvicorn does."""
    sock = opened(gateway, chat("x", stream=True, **LONG))
    assert b"200 OK" in sock.recv(65536)
    sock.shutdown(socket.SHUT_WR)
    wait_until(server.idle, CANCEL_S)
    sock.close()


def test_a_slow_reader_gets_everything(gateway: RunningGateway, server: Served) -> None:
    """It sleeps on a full socket; others are answered meanwhile; then it reads to the end."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(60)
    sock.connect(("127.0.0.1", gateway.port))
    data = json.dumps(chat("x", stream=True, **LONG)).encode()
    sock.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data) + data
    )
    with gateway.http() as http:
        for _ in range(3):
            assert http.post(CHAT, json=chat()).status_code == 200
    received = b""
    while piece := sock.recv(4096):
        received += piece
    assert received.count(b"data: [DONE]") == 1
    assert b'"finish_reason":"length"' in received


def test_the_time_for_an_answer(paced: tuple[Served, RunningGateway]) -> None:
    """A stream that has begun by then ends with the error. The engine's pace, not this machine's,
    decides that none ends before."""
    server, _ = paced
    running = RunningGateway(server.grpc, args=("--timeout", "2"))
    with running.http() as http:
        started = time.monotonic()
        whole = http.post(CHAT, json=chat("x", **LONG))
        streamed = http.post(CHAT, json=chat("x", stream=True, **LONG))
        assert 4 <= time.monotonic() - started < 6.4
    assert (whole.status_code, whole.json()["error"]["code"]) == (504, "timeout")
    last = streamed.text.strip().splitlines()[-1]
    assert streamed.status_code == 200 and json.loads(last[6:])["error"]["code"] == "timeout"
    wait_until(server.idle, CANCEL_S)
    assert running.stop() == 0
