"""The gateway over TLS: who gets in, and what others cost."""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from gemma4_gateway.settings import TlsFiles
from gemma4_testing.certificates import Authority
from gemma4_testing.fakes.canary import Canary
from gemma4_testing.fakes.fake_backend import FakeBackend, fake_backend
from gemma4_testing.fakes.in_process_gateway import InProcess, gateway_before
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.waiting import wait_until

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def backend() -> Iterator[FakeBackend]:
    with fake_backend("good") as found:
        yield found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> TlsFiles:
    return authority.issue()


@pytest.fixture
def gateway(backend: FakeBackend, files: TlsFiles) -> Iterator[InProcess]:
    with gateway_before(backend.address, tls=files, head_s=3.0) as found:
        yield found


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def shaken(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(connected(port), server_hostname="localhost")


def asking(gateway: InProcess, context: ssl.SSLContext) -> httpx.Client:
    """For requests whose own time is not measured: a busy machine needs seconds for a handshake."""
    return httpx.Client(base_url=gateway.url, verify=context, timeout=60)


def cut(gateway: InProcess, reason: str) -> float:
    family = gateway.gateway.metrics.connections_cut
    return float(family.labels(reason)._value.get())


def test_answers_and_keep_alive(gateway: InProcess, authority: Authority) -> None:
    with asking(gateway, authority.client()) as client:
        for _ in range(3):
            assert client.get("/health/ready").status_code == 200
            assert client.post("/v1/chat/completions", json=BODY).status_code == 200
        with client.stream("POST", "/v1/chat/completions", json={**BODY, "stream": True}) as reply:
            assert list(reply.iter_lines())[-2:] == ["data: [DONE]", ""]
        metrics = client.get("/metrics").text
    assert "gemma4_gateway_tls_certificate_not_after_seconds" in metrics
    assert 'gemma4_gateway_tls_reloads_total{result="failed"} 0.0' in metrics
    assert 'gemma4_gateway_tls_reloads_total{result="loaded"} 0.0' in metrics


def test_the_gauge_is_absent_without_tls(backend: FakeBackend) -> None:
    with gateway_before(backend.address) as gateway, gateway.http() as client:
        assert "_tls_" not in client.get("/metrics").text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_versions(gateway: InProcess, authority: Authority, version: ssl.TLSVersion) -> None:
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with closing(shaken(gateway.port, context)) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
        sock.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        data = b""
        while piece := sock.recv(65536):  # to close_notify: without it, ssl raises
            data += piece
    assert data.startswith(b"HTTP/1.1 200 ")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_1_1_is_refused(gateway: InProcess, authority: Authority) -> None:
    context = authority.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with closing(connected(gateway.port)) as sock, pytest.raises(ssl.SSLError, match="ALERT"):
        context.wrap_socket(sock, server_hostname="localhost")
    assert cut(gateway, "tls_failed") == 1


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_body_in_pieces(gateway: InProcess, authority: Authority, size: int) -> None:
    """A request in records of any size, and an answer to each."""
    body = json.dumps(BODY | {"user": "u" * (200 if size < 100 else 60_000)}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    data = head + b"content-length: %d\r\n\r\n" % len(body) + body
    with closing(shaken(gateway.port, authority.client())) as sock:
        for _ in range(2):
            for at in range(0, len(data), size):
                sock.sendall(data[at : at + size])
            reply = http.client.HTTPResponse(sock)
            reply.begin()
            assert reply.status in (200, 400), reply.read()
            reply.read()


def test_plain_http_is_told_so(gateway: InProcess) -> None:
    for data in (b"G", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"POST /v1 HTTP/1.1\r\n\r\n{}"):
        with closing(connected(gateway.port)) as sock:
            sock.sendall(data)
            whole = b""
            while piece := sock.recv(65536):
                whole += piece
        assert whole.startswith(b"HTTP/1.1 400 ")
        assert b"use https://" in whole and whole.endswith(b"}")
    assert cut(gateway, "plain_http") == 3


def test_who_never_shakes_hands_is_cut(backend: FakeBackend, files: TlsFiles) -> None:
    with gateway_before(backend.address, tls=files, head_s=0.5) as gateway:
        for first in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            with closing(connected(gateway.port)) as sock:
                sock.sendall(first)
                started = time.monotonic()
                assert sock.recv(100) == b""
                assert time.monotonic() - started < 10
        assert cut(gateway, "head_timeout") == 3


def test_200_half_open_connections(
    backend: FakeBackend, files: TlsFiles, authority: Authority
) -> None:
    args = ("--ssl-certfile", str(files.certfile), "--ssl-keyfile", str(files.keyfile))
    running = RunningGateway(backend.port, args=(*args, "--served-model-name", "m"))
    sockets = []
    try:
        assert f"https://127.0.0.1:{running.port}/v1" in running.text
        for number in range(200):
            sockets.append(connected(running.port))
            sockets[-1].sendall(b"\x16\x03\x01\x02\x00\x01"[: number % 7])
        with Canary(running.port, tls=authority.client()) as canary:
            wait_until(lambda: len(canary.seconds) > 20 or canary.wrong, 60)
        assert not canary.wrong
        assert canary.quantile(0.99) < 1.0
    finally:
        for sock in sockets:
            sock.close()
        assert running.stop() == 0
    assert "Traceback" not in running.text


def test_the_oldest_makes_way(backend: FakeBackend, files: TlsFiles, authority: Authority) -> None:
    """Those in their handshake count as connections."""
    with gateway_before(backend.address, tls=files, most_connections=10) as gateway:
        sockets = [connected(gateway.port) for _ in range(30)]
        with asking(gateway, authority.client()) as client:
            assert client.get("/health/live").status_code == 200
        assert cut(gateway, "evicted") >= 20
        for sock in sockets:
            sock.close()


def test_damaged_handshakes(gateway: InProcess, authority: Authority) -> None:
    """A real ClientHello, and a real connection, with bytes changed, cut off or made up."""
    rng = random.Random(7)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        authority.client().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    hello = outgoing.read()
    for _ in range(300):
        data = bytearray(hello)
        for _ in range(rng.choice((1, 1, 3, 30))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        if rng.random() < 0.2:
            data += rng.randbytes(rng.randrange(2000))
        if rng.random() < 0.1:
            data = bytearray(rng.randbytes(rng.randrange(1, 5000)))
        with closing(connected(gateway.port)) as sock:
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            except ConnectionError:
                pass
    for _ in range(50):  # after a good handshake
        sock = connected(gateway.port)
        with closing(shaken(gateway.port, authority.client())) as tls, closing(sock):
            tls.sendall(b"GET /health/live HTTP/1.1\r\n")
            under = socket.socket(fileno=tls.detach())
            under.sendall(rng.randbytes(rng.randrange(1, 300)))
            under.close()
    assert gateway.chat("hi").status_code == 200
    assert "Traceback" not in gateway.log.getvalue()
    assert "fault" not in gateway.log.getvalue()
    assert cut(gateway, "tls_failed") > 100


def test_failed_handshakes_do_not_fill_the_log(gateway: InProcess) -> None:
    for _ in range(50):
        with closing(connected(gateway.port)) as sock:
            sock.sendall(b"\x17\x03\x03\x00\x05hello")  # data before a handshake
            while sock.recv(100):
                pass
    wait_until(lambda: '"tls_failed"' in gateway.log.getvalue(), 10)
    lines = gateway.log.getvalue().splitlines()
    found = [json.loads(line) for line in lines if '"tls_failed"' in line]
    assert 1 <= len(found) < 20
    assert found[0]["client"] == "127.0.0.1" and found[0]["error"]
    assert cut(gateway, "tls_failed") == 50


class TestClientCertificates:
    @pytest.fixture
    def mutual(self, authority: Authority, files: TlsFiles) -> TlsFiles:
        return replace(files, ca_certs=authority.ca_file, cert_reqs=ssl.CERT_REQUIRED)

    def test_required(
        self, backend: FakeBackend, authority: Authority, mutual: TlsFiles, tmp_path: Path
    ) -> None:
        stranger = Authority(tmp_path).issue("stranger")
        ended = authority.issue("ended", days=-1)
        with gateway_before(backend.address, tls=mutual) as gateway:
            good = authority.client(authority.issue("client"))
            with asking(gateway, good) as client:
                assert client.post("/v1/chat/completions", json=BODY).status_code == 200
            for identity, says in (
                (None, "certificate required"),
                (stranger, "unknown ca"),
                (ended, "certificate expired"),
            ):
                with closing(shaken(gateway.port, authority.client(identity))) as sock:
                    sock.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
                    with pytest.raises(ssl.SSLError, match=says.replace(" ", "_").upper()):
                        sock.recv(100)
            assert cut(gateway, "tls_failed") == 3

    def test_optional(self, backend: FakeBackend, authority: Authority, mutual: TlsFiles) -> None:
        mutual = replace(mutual, cert_reqs=ssl.CERT_OPTIONAL)
        with gateway_before(backend.address, tls=mutual) as gateway:
            with asking(gateway, authority.client()) as client:
                assert client.get("/health/ready").status_code == 200
                for path in ("/metrics", "/docs", "/v1/models", "/nowhere"):
                    reply = client.get(path)
                    assert reply.status_code == 403
                    assert reply.json()["error"]["code"] == "missing_client_certificate"
                assert client.post("/v1/chat/completions", json=BODY).status_code == 403
            good = authority.client(authority.issue("client"))
            with asking(gateway, good) as client:
                assert client.get("/metrics").status_code == 200
                assert client.post("/v1/chat/completions", json=BODY).status_code == 200
