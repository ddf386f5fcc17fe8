"""Whatever listens at an address is named, with what to give instead. No Triton: its first bytes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import trustme
from gemma4_cli.port_kind import Found, find_out
from gemma4_cli.wrong_port import wrong_port

ANSWERS: dict[str, dict[bytes, bytes]] = {
    "triton": {b"/v2": b'{"name":"triton","version":"2.51.0"}'},
    "metrics": {b"/metrics": b"# HELP nv_x y\n# TYPE nv_x counter\nnv_x 1\n"},
    "gateway": {b"/metrics": b"# HELP a b\n# TYPE gemma4_gateway_x counter\n"},
    "http": {b"/": b"hello"},
}


@contextmanager
def listener(answer: Any, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that gives ``answer`` to what it reads; None: it closes at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                try:
                    connection.settimeout(5)
                    with (
                        tls.wrap_socket(connection, server_side=True) if tls else connection as one
                    ):
                        asked = one.recv(4096)
                        reply = answer(asked) if asked else None
                        if reply:
                            one.sendall(reply)
                except OSError:
                    pass
                finally:
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def http(kind: str) -> Any:
    def answer(asked: bytes) -> bytes:
        if not asked.startswith(b"GET "):
            return b"HTTP/1.1 400 Bad Request\r\n\r\n"
        body = ANSWERS[kind].get(asked.split()[1])
        status = b"404 Not Found" if body is None else b"200 OK"
        return b"HTTP/1.1 " + status + b"\r\n\r\n" + (body or b"")

    return answer


@contextmanager
def grpc_server(credentials: grpc.ServerCredentials | None = None) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(1))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield port
    server.stop(0)


@pytest.fixture(scope="module")
def cert() -> trustme.LeafCert:
    return trustme.CA().issue_cert("127.0.0.1")


@pytest.fixture(scope="module")
def tls(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("secure", [False, True])
def test_http_servers(kind: str, secure: bool, tls: ssl.SSLContext) -> None:
    with listener(http(kind), tls if secure else None) as port:
        assert find_out("127.0.0.1", port) == Found(kind, tls=secure)  # type: ignore[arg-type]


@pytest.mark.parametrize("secure", [False, True])
def test_grpc(secure: bool, cert: trustme.LeafCert) -> None:
    pair = (cert.private_key_pem.bytes(), cert.cert_chain_pems[0].bytes())
    with grpc_server(grpc.ssl_server_credentials([pair]) if secure else None) as port:
        assert find_out("127.0.0.1", port) == Found("grpc", tls=secure)


def test_others() -> None:
    with listener(lambda asked: b"SSH-2.0-x\r\n") as port:
        assert find_out("127.0.0.1", port) == Found("unknown")
    with listener(lambda asked: None) as port:
        assert find_out("127.0.0.1", port) == Found("unknown")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert find_out("127.0.0.1", port) == Found("nobody")


ADVICE = [
    ("{}", Found("triton"), "Triton's HTTP port; use --url http://{}"),
    ("http://{}", Found("triton"), None),
    ("https://{}", Found("triton"), "Triton's HTTP port without TLS; use --url http://{}"),
    ("http://{}", Found("triton", tls=True), "HTTP port with TLS; use --url https://{}"),
    ("http://{}", Found("grpc"), "a gRPC port; use --url {}"),
    ("{}", Found("grpc"), None),
    ("grpcs://{}", Found("grpc"), "a gRPC port without TLS; use --url {}"),
    ("{}", Found("grpc", tls=True), "a gRPC port with TLS; use --url grpcs://{}"),
    ("grpcs://{}", Found("grpc", tls=True), None),
    ("{}", Found("metrics"), "{} has metrics, for Prometheus; give the gRPC port"),
    ("http://{}", Found("gateway"), "{} is a gateway, for clients of OpenAI's"),
    ("{}", Found("gateway", tls=True), "base URL https://{}/v1"),
    ("{}", Found("http"), "an HTTP server, but not Triton's"),
    ("{}", Found("unknown"), "no port of Triton or of a gateway"),
    ("{}", Found("unknown", tls=True), "wants TLS; use --url grpcs://{}"),
    ("{}", Found("nobody"), "no server at {}; start one with `gemma4 serve`"),
]


@pytest.mark.parametrize(("url", "found", "words"), ADVICE)
@pytest.mark.parametrize("target", ["127.0.0.1:8123", "[::1]:8123"])
def test_advice(
    url: str, found: Found, words: str | None, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def find(host: str, port: int) -> Found:
        asked.append((host, port))
        return found

    monkeypatch.setattr("gemma4_cli.wrong_port.find_out", find)
    advice = wrong_port(url.format(target))
    assert asked == [(target.rpartition(":")[0].strip("[]"), 8123)]
    if words is None:
        assert advice is None
    else:
        assert advice is not None and words.format(target) in advice
