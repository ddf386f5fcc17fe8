"""Clients that offer HTTP/2 in the head of a request, those of HTTP/1.0, HEAD, and browsers."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import httptools
import pytest
from gemma4_gateway.http1 import Parser
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import InProcess, gateway_before
from hypothesis import given
from hypothesis import strategies as st

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
OFFERS = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n",
    b"Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n",
]


class Heard:
    """What a connection hears of its parser: requests, and how their bodies came."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.told: list[Any] = []
        self.body = self.url = b""

    def on_message_begin(self) -> None:
        self.headers, self.body, self.url = [], b"", b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        about = (b"connection", b"upgrade", b"http2-settings", b"sec-websocket-key")
        self.told.append([self.url, *(h for h in self.headers if h[0] not in about)])

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.told.append(self.body)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A request with an offer of another protocol, perhaps, and without one."""
    method = draw(st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS"]))
    offer = draw(st.sampled_from([b"", *OFFERS]))
    body = draw(st.binary(max_size=40))
    kind = draw(st.sampled_from(["none", "length", "chunks"]))
    length, sent = b"", b""
    if kind == "length":
        length, sent = b"Content-Length: %d\r\n" % len(body), body
    elif kind == "chunks":
        length = b"Transfer-Encoding: chunked\r\n"
        sent = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        sent += b"0\r\n\r\n"
    first, last = (offer, b"") if draw(st.booleans()) else (b"", offer)
    heads = [b"%s /x HTTP/1.1\r\nHost: a\r\n%s%s%s\r\n" % (method, first, length, last)]
    heads.append(b"%s /x HTTP/1.1\r\nHost: a\r\n%s\r\n" % (method, length))
    return heads[0] + sent, heads[1] + sent


@given(st.lists(requests(), min_size=1, max_size=4), st.data())
def test_an_offer_changes_nothing(sent: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    """However the bytes arrive, and whatever follows on the same connection."""
    offering, plain = (b"".join(texts) for texts in zip(*sent, strict=True))
    heard, wanted = Heard(), Heard()
    httptools.HttpRequestParser(wanted).feed_data(plain)
    parser = Parser(heard)
    cuts = data.draw(st.lists(st.integers(0, len(offering)), max_size=6).map(sorted))
    for start, end in itertools.pairwise([0, *cuts, len(offering)]):
        parser.feed_data(offering[start:end])
    assert heard.told == wanted.told


def test_a_tunnel_is_none() -> None:
    with pytest.raises(httptools.HttpParserUpgrade):
        Parser(Heard()).feed_data(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")


@pytest.fixture(scope="module")
def gateway() -> Iterator[InProcess]:
    with fake_backend("hi") as backend, gateway_before(backend.address) as running:
        yield running


def exchange(gateway: InProcess, *pieces: bytes) -> bytes:
    """All that comes until the gateway closes the connection."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def chat(version: str, more: bytes = b"", **fields: Any) -> tuple[bytes, bytes]:
    body = json.dumps(CHAT | fields).encode()
    head = (
        f"POST /v1/chat/completions HTTP/{version}\r\nhost: a\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
    )
    return head.encode() + more + b"\r\n", body


@pytest.mark.parametrize("offer", OFFERS)
def test_a_chat_of_a_client_that_offers_another_protocol(gateway: InProcess, offer: bytes) -> None:
    head, body = chat("1.1", offer)
    last = b"GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    found = exchange(gateway, head, body, last)
    assert found.count(b"HTTP/1.1 200") == 2, found
    assert b'"finish_reason":"stop"' in found and found.endswith(b'{"status":"live"}')


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "asked",
    [
        b"Connection: close\r\n",
        b"TE: deflate,gzip;q=0.3\r\nConnection: TE, close\r\n",
        b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n",
        b"Connection: Close , Upgrade\r\nUpgrade: websocket\r\n",
    ],
)
def test_a_connection_that_shall_end(gateway: InProcess, asked: bytes, stream: bool) -> None:
    """After the answer, whatever else the client names in the header, and sends behind it."""
    reply = exchange(gateway, *chat("1.1", asked, stream=stream))
    assert reply.startswith(b"HTTP/1.1 200") and b'"finish_reason":"stop"' in reply
    head, body = chat("1.1", asked, stream=stream)
    reply = exchange(gateway, head + body + head + body)
    assert reply.count(b"HTTP/1.1 200") <= 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_chat_over_http_1_0(gateway: InProcess, stream: bool) -> None:
    reply = exchange(gateway, *chat("1.0", stream=stream))
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"chunked" not in head and b"connection: close" in head
    assert body.startswith(b"data: {") == stream
    assert body.endswith(b"data: [DONE]\n\n" if stream else b"}")


@pytest.mark.parametrize("path", ["/health", "/ping"])
def test_other_names_of_health(gateway: InProcess, path: str) -> None:
    with gateway.http() as http:
        assert http.get(path).json()["status"] == http.get("/health/ready").json()["status"]


def test_version(gateway: InProcess) -> None:
    with gateway.http() as http:
        assert http.get("/version").json() == {"version": version("gemma4-triton")}


@pytest.mark.parametrize("path", ["/health/live", "/v1/models", "/metrics"])
def test_head_is_get_without_the_body(gateway: InProcess, path: str) -> None:
    with gateway.http() as http:
        head, get = http.head(path), http.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_head_of_what_takes_post_only(gateway: InProcess) -> None:
    with gateway.http() as http:
        assert http.head("/v1/chat/completions").status_code == 405
