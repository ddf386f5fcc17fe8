"""Over TLS too: who leaves frees a slot, a drain finishes answers, and clients find their way."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gemma4_runtime.server.board import Field
from gemma4_testing.certificates import Authority
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.running_gateway import LONG, MODEL, RunningGateway, chat
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

CANCEL_S = 0.5
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def started(server: Served, authority: Authority) -> RunningGateway:
    files = authority.issue()
    args = ("--ssl-certfile", str(files.certfile), "--ssl-keyfile", str(files.keyfile))
    return RunningGateway(server.grpc, args=args)


@pytest.fixture(scope="module")
def gateway(server: Served, authority: Authority) -> Iterator[RunningGateway]:
    running = started(server, authority)
    yield running
    assert running.stop() == 0, running.text[-3000:]
    assert "Traceback" not in running.text, running.text


def opened(gateway: RunningGateway, authority: Authority, **more: Any) -> ssl.SSLSocket:
    """A connection that has sent a request for a stream, and has its first bytes."""
    data = json.dumps(chat("x", stream=True, **LONG)).encode()
    raw = socket.socket()
    if more.get("small"):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(60)
    raw.connect(("127.0.0.1", gateway.port))
    sock = authority.client().wrap_socket(raw, server_hostname="127.0.0.1")
    sock.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(data) + data
    )
    assert b"200 OK" in sock.recv(65536)
    return sock


@pytest.mark.parametrize("how", ["close", "unwrap", "shutdown", "reset"])
def test_a_stream_that_is_left(
    gateway: RunningGateway, server: Served, authority: Authority, how: str
) -> None:
    sock = opened(gateway, authority)
    wait_until(lambda: server.board()[Field.ACTIVE] == 1, 5)
    if how == "unwrap":  # TLS's farewell, and the socket stays open
        sock.settimeout(0)
        with pytest.raises(ssl.SSLError):
            sock.unwrap()
    elif how == "shutdown":
        socket.socket.shutdown(sock, socket.SHUT_WR)
    elif how == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
    else:
        sock.close()
    wait_until(server.idle, CANCEL_S)
    sock.close()


def test_a_slow_reader_gets_everything(
    gateway: RunningGateway, server: Served, authority: Authority
) -> None:
    sock = opened(gateway, authority, small=True)
    with httpx.Client(base_url=gateway.url, verify=authority.client(), timeout=60) as client:
        for _ in range(3):
            assert client.post(CHAT, json=chat()).status_code == 200
    received = b""
    while piece := sock.recv(4096):
        received += piece
    assert received.count(b"data: [DONE]") == 1
    assert b'"finish_reason":"length"' in received
    wait_until(server.idle, 5)


def test_drain(server: Served, authority: Authority) -> None:
    running = started(server, authority)
    lines: list[str] = []

    def read() -> None:
        with (
            httpx.Client(base_url=running.url, verify=authority.client(), timeout=60) as client,
            client.stream("POST", CHAT, json=chat("x", stream=True, **LONG)) as reply,
        ):
            lines.extend(reply.iter_lines())

    thread = threading.Thread(target=read)
    thread.start()
    wait_until(lambda: server.board()[Field.ACTIVE] == 1, 10)
    idle = authority.client().wrap_socket(
        socket.create_connection(("127.0.0.1", running.port)), server_hostname="127.0.0.1"
    )
    half_open = socket.create_connection(("127.0.0.1", running.port))
    running.process.send_signal(signal.SIGTERM)
    thread.join(60)
    assert "data: [DONE]" in lines
    assert running.process.wait(15) == 0
    assert idle.recv(10) == b"" and half_open.recv(10) == b""
    assert "Traceback" not in running.text
    idle.close()
    half_open.close()


def test_a_new_certificate_while_a_stream_runs(server: Served, authority: Authority) -> None:
    running = started(server, authority)
    sock = opened(running, authority)
    first = sock.getpeercert(binary_form=True)
    authority.issue(days=90)  # the same files

    def served() -> bytes | None:
        with authority.client().wrap_socket(
            socket.create_connection(("127.0.0.1", running.port)), server_hostname="127.0.0.1"
        ) as other:
            return other.getpeercert(binary_form=True)

    wait_until(lambda: served() != first, 5)
    received = b""
    while piece := sock.recv(65536):
        received += piece
    assert received.count(b"data: [DONE]") == 1
    assert running.stop() == 0
    assert "tls_certificate_read" in running.text


PROGRAMS = {
    "openai": "from openai import OpenAI; import sys; OpenAI(base_url=sys.argv[1], api_key='x',"
    f" max_retries=0).chat.completions.create(model='{MODEL}', messages=[dict(role='user',"
    " content='hi')], max_tokens=4)",
    "curl": "",
    "load": "",
    "locust": "",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_clients_with_an_authority_of_their_own(
    gateway: RunningGateway, authority: Authority, program: str, tmp_path: Path
) -> None:
    url = gateway.url + "/v1"
    locustfile = Path(__file__).parents[3] / "load_tests" / "locustfile.py"
    command = {
        "openai": [sys.executable, "-c", PROGRAMS["openai"], url],
        "curl": ["curl", "-fsS", "--cacert", str(authority.ca_file), f"{url}/models"],
        "load": [
            str(GEMMA4), "load", "--url", url, "--requests", "4", "--concurrency", "2",
            "--output-tokens", "4", "--prompt-tokens", "20", "--out", str(tmp_path / "out"),
            "--warmup", "0", "--metrics-url", gateway.url + "/metrics", "--max-client-lag", "2000",
        ],
        "locust": [
            sys.executable, "-m", "locust", "-f", str(locustfile), "OpenAIUser", "--headless",
            "-u", "1", "-t", "3s", "--host", url, "--output-tokens", "4",
        ],
    }[program]  # fmt: skip
    env = os.environ | {"SSL_CERT_FILE": str(authority.ca_file)}
    ran = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=90)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
