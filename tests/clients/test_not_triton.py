"""Answers of 200 that are not Triton's, or not this server's: one error of the SDK, nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from gemma4_client import Client, ServerError
from gemma4_client.tokenizer import read_tokens
from gemma4_client.transport.http_wire import read_infer
from gemma4_client.wire import raw_tensor

ENGINE = raw_tensor("engine", "BYTES", ["{}"])
TEXT = raw_tensor("text", "BYTES", [""])


@pytest.mark.parametrize("length", ["", "x", "-1", "2", "1.5"])
@pytest.mark.parametrize(
    "body",
    [b"", b"ok", b"[]", b"{}", b"null", b'{"outputs": 1}', b'{"outputs": [{}]}', b"\xff\xfe"],
)
def test_a_body(body: bytes, length: str) -> None:
    with pytest.raises(ServerError, match="not Triton's"):
        read_infer(body, length)


@pytest.mark.parametrize("output", [1, {"name": "x"}, {"name": "x", "parameters": None},
                                    {"name": "x", "parameters": {"binary_data_size": "4"}}])  # fmt: skip
def test_a_head(output: object) -> None:
    head = json.dumps({"outputs": [output]}).encode()
    with pytest.raises(ServerError, match="not Triton's"):
        read_infer(head + b"0000", str(len(head)))


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"engine": b""},
        {"engine": b"\1\0\0\0"},
        {"engine": raw_tensor("engine", "BYTES", ["not JSON"]), "text": TEXT},
        {"engine": raw_tensor("engine", "BYTES", ["[]"]), "text": TEXT},
        {"engine": raw_tensor("engine", "BYTES", ["5"]), "text": TEXT},
        {"engine": ENGINE, "text": TEXT},
        {"engine": ENGINE},
    ],
    ids=repr,
)
def test_tokens(raw: dict[str, bytes]) -> None:
    with pytest.raises(ServerError):
        read_tokens(raw)


@pytest.fixture
def anything() -> Iterator[str]:
    """A server that says 200 to all."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_server_that_says_yes_to_all_is_not_ready(anything: str) -> None:
    with Client(anything, retry=None) as client:
        assert client.models_ready() and not client.ready()
        with pytest.raises(ServerError, match="not Triton's"):
            client.server_info()
