"""Hand-made bombs that are made of connections: half-closed, cut off, slow, flooding, never read.
Each is a function of a server, returns within half a minute, and leaves nothing open."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
from gemma4_client.wire import build_request
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gemma4_testing.fuzz.send import HANG_S, NotEndedError
from gemma4_testing.servers.served import Served

Bomb = Callable[[Served], None]
BOMBS: dict[str, Bomb] = {}
"""By name; :mod:`gemma4_testing.fuzz.feeds` adds those of feeds."""
SHORT = {"text_input": "Hello", "max_tokens": 2}
LONG = {"text_input": "Hello", "max_tokens": 400, "min_tokens": 400, "stream": True}
GENERATE = b"POST /v2/models/gemma4/generate HTTP/1.1\r\nHost: x\r\n"
INFER = b"POST /v2/models/gemma4_unary/infer HTTP/1.1\r\nHost: x\r\n"
BODY = b'{"text_input": "Hello", "max_tokens": 2}'


def bomb(name: str, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the function under ``name``; called with the server and ``options``."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        BOMBS[name] = lambda server: function(server, **options)
        return function

    return register


# -- HTTP, byte for byte --------------------------------------------------------------------------


def _until_closed(connection: socket.socket) -> bytes:
    """What came until the other side closed, or fell silent for a second."""
    connection.settimeout(1)
    found = b""
    with suppress(OSError):
        while data := connection.recv(65_536):
            found += data
    return found


def _sent(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_S) as connection:
        with suppress(ConnectionError):
            connection.sendall(data)
        return _until_closed(connection)


HTTP: dict[str, bytes] = {
    "no body where one was promised": GENERATE + b"Content-Length: 100\r\n\r\n",
    "half a body": GENERATE + b"Content-Length: 40\r\n\r\n" + BODY[:20],
    "more than was promised": GENERATE + b"Content-Length: 5\r\n\r\n" + BODY,
    "a length of less than nothing": GENERATE + b"Content-Length: -1\r\n\r\n" + BODY,
    "a length beyond all": GENERATE + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY,
    "a terabyte is promised": GENERATE + b"Content-Length: 1099511627776\r\n\r\n" + BODY,
    "a length of letters": GENERATE + b"Content-Length: abc\r\n\r\n" + BODY,
    "two lengths": GENERATE + b"Content-Length: 3\r\nContent-Length: 40\r\n\r\n" + BODY,
    "a length and chunks": GENERATE + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk of a size beyond all": GENERATE + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n",
    "1,000 chunks": GENERATE + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 1000 + b"0\r\n\r\n",
    "chunks without an end": GENERATE + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"tex",
    "half a header": GENERATE + b"Content-Le",
    "1,000 headers": GENERATE + b"".join(b"X-%d: y\r\n" % i for i in range(1000)) + b"\r\n",
    "a header of 1 MB": GENERATE + b"X: " + b"y" * 10**6 + b"\r\n\r\n",
    "a path of 1 MB": b"POST /v2/models/" + b"x" * 10**6 + b"/infer HTTP/1.1\r\n\r\n",
    "a path of dots": b"GET /v2/models/../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path with NUL": b"GET /v2/models/a%00b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path that is cut off": b"GET /v2/models/%f HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown method": b"BREW /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown version": b"GET /v2 HTTP/9.9\r\nHost: x\r\n\r\n",
    "no version": b"GET /v2\r\n\r\n",
    "only line ends": b"\r\n" * 10_000,
    "zeros": bytes(100_000),
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "an HTTP/2 greeting": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "100 requests at once": b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n" * 100,
    "a body later": GENERATE + b"Expect: 100-continue\r\nContent-Length: 40\r\n\r\n",
    "a header length of less than nothing": INFER + b"Inference-Header-Content-Length: -1\r\nContent-Length: 40\r\n\r\n" + BODY,
    "a header length beyond the body": INFER + b"Inference-Header-Content-Length: 4096\r\nContent-Length: 40\r\n\r\n" + BODY,
    "a header length of 0": INFER + b"Inference-Header-Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + BODY,
    "gzip that is none": INFER + b"Content-Encoding: gzip\r\nContent-Length: 40\r\n\r\n" + BODY,
    "an unknown encoding": INFER + b"Content-Encoding: zstd\r\nContent-Length: 40\r\n\r\n" + BODY,
}  # fmt: skip


def _compressed(encoding: bytes, data: bytes) -> bytes:
    head = INFER + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (encoding, len(data)) + data


def _whole(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


HTTP |= {
    "200,000 brackets": _whole(GENERATE, b'{"text_input":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "200,000 objects": _whole(GENERATE, b'{"a":' * 200_000 + b"1" + b"}" * 200_000),
    "200,000 brackets as data": _whole(INFER, b'{"inputs":[{"name":"max_tokens","shape":[1,1],"datatype":"INT32","data":' + b"[" * 200_000 + b"]" * 200_000 + b"}]}"),
    "600,000 chunks": GENERATE + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 600_000 + b"0\r\n\r\n",
    "50 MB of zeros in gzip": _compressed(b"gzip", gzip.compress(bytes(50_000_000))),
    "50 MB of zeros in deflate": _compressed(b"deflate", zlib.compress(bytes(50_000_000))),
}  # fmt: skip
for _name, _data in HTTP.items():
    BOMBS[f"http: {_name}"] = lambda server, data=_data: _sent(server.http, data)  # type: ignore[assignment, misc]


@bomb("http: 200 connections that send nothing", count=200, data=b"")
@bomb("http: 200 connections that stop in the header", count=200, data=GENERATE)
@bomb("http: 200 bodies that trickle", count=200, data=GENERATE + b"Content-Length: 40\r\n\r\n{")
def idle_connections(server: Served, *, count: int, data: bytes) -> None:
    held = [socket.create_connection(("127.0.0.1", server.http), HANG_S) for _ in range(count)]
    for connection in held:
        connection.sendall(data)
    time.sleep(1)
    for connection in held:
        connection.close()


@bomb("http: 50 answers that nobody waits for", count=50, reset=False)
@bomb("http: 50 connections reset after the request", count=50, reset=True)
def cut_off_http(server: Served, *, count: int, reset: bool) -> None:
    body = b'{"text_input": "Hello", "max_tokens": 400, "min_tokens": 400, "stream": true}'
    head = (
        b"POST /v2/models/gemma4/generate_stream HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    )
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", server.http), timeout=HANG_S)
        connection.sendall(head % len(body) + body)
        if reset:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.close()


@bomb("http: 20 readers that do not read")
def slow_readers_http(server: Served) -> None:
    body = b'{"text_input": "Hello", "max_tokens": 400, "min_tokens": 400, "stream": true}'
    head = (
        b"POST /v2/models/gemma4/generate_stream HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    )
    held = []
    for _ in range(20):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", server.http))
        connection.sendall(head % len(body) + body)
        held.append(connection)
    time.sleep(2)
    for connection in held:
        connection.close()


@bomb("metrics: zeros", data=bytes(10_000))
@bomb("metrics: a path of 1 MB", data=b"GET /" + b"x" * 10**6 + b" HTTP/1.1\r\n\r\n")
def metrics(server: Served, *, data: bytes) -> None:
    _sent(server.banner_port("metrics"), data)


@bomb("grpc port: HTTP/1.1", data=GENERATE + b"\r\n")
@bomb("grpc port: zeros", data=bytes(100_000))
@bomb("grpc port: a greeting and no more", data=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
@bomb(
    "grpc port: frames of nonsense",
    data=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\xff\xff\x01\x05\0\0\0\1" * 2000,
)
def on_the_grpc_port(server: Served, *, data: bytes) -> None:
    _sent(server.grpc, data)


# -- gRPC -----------------------------------------------------------------------------------------


@contextmanager
def stub_of(server: Served, **options: int) -> Iterator[service_pb2_grpc.GRPCInferenceServiceStub]:
    settings = [
        ("grpc.use_local_subchannel_pool", 1),
        *((f"grpc.{k}", v) for k, v in options.items()),
    ]
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}", options=settings) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def ended(replies: Any) -> int:
    """Responses of a stream; raises when it hangs."""
    try:
        return sum(1 for _ in replies)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise NotEndedError("a stream hung") from error
        return 0


def infer(inputs: dict[str, Any], model: str = "gemma4", **more: Any) -> Any:
    return build_request(inputs, model=model, **more)


@bomb("grpc: a stream that asks nothing")
def empty_stream(server: Served) -> None:
    with stub_of(server) as stub:
        assert ended(stub.ModelStreamInfer(iter([]), timeout=HANG_S)) == 0


@bomb("grpc: 500 streams cancelled before they send", count=500, send=False)
@bomb("grpc: 500 streams cancelled as they send", count=500, send=True)
def cancelled(server: Served, *, count: int, send: bool) -> None:
    with stub_of(server) as stub:
        for number in range(count):
            model = ("gemma4", "engine")[number % 2]
            requests = [infer(LONG, model)] if send else []
            stub.ModelStreamInfer(iter(requests), timeout=HANG_S).cancel()


@bomb("grpc: 300 tiny streams at once")
def tiny_streams(server: Served) -> None:
    with stub_of(server) as stub:
        calls = [stub.ModelStreamInfer(iter([infer(SHORT, m)]), timeout=HANG_S)
                 for m in ("gemma4", "engine", "gemma4_tokenizer") * 100]  # fmt: skip
        assert all(ended(call) for call in calls)


@bomb("grpc: 100 streams held open without a word")
def silent_streams(server: Served) -> None:
    over = threading.Event()

    def nothing() -> Iterator[Any]:
        over.wait()
        yield from ()

    with stub_of(server) as stub:
        calls = [stub.ModelStreamInfer(nothing(), timeout=HANG_S) for _ in range(100)]
        time.sleep(0.5)
        over.set()
        assert all(ended(call) == 0 for call in calls)


@bomb("grpc: 2,000 requests on one stream", count=2000, same=False)
@bomb("grpc: 2,000 requests of the same id", count=2000, same=True)
def long_stream(server: Served, *, count: int, same: bool) -> None:
    requests = [infer(SHORT, "engine", request_id="i" if same else f"i{n}") for n in range(count)]
    with stub_of(server) as stub:
        assert ended(stub.ModelStreamInfer(iter(requests), timeout=HANG_S)) >= count


@bomb("grpc: one stream for both that stream", models=("gemma4", "engine"))
@bomb("grpc: one stream for all that do not", models=("preprocessing", "gemma4_unary", "gemma4_tokenizer"))  # fmt: skip
def many_models(server: Served, *, models: tuple[str, ...]) -> None:
    """Both kinds on one stream are a crash of Triton 2.51 that is known."""
    inputs = {"gemma4_tokenizer": {"messages": "[]"}}
    requests = [infer(inputs.get(model, SHORT), model) for model in models] * 20
    with stub_of(server) as stub:
        assert ended(stub.ModelStreamInfer(iter(requests), timeout=HANG_S)) >= len(requests)


@bomb("grpc: 20 readers that do not read", model="gemma4")
@bomb("grpc: 20 readers of the engine that do not read", model="engine")
def slow_readers(server: Served, *, model: str) -> None:
    with stub_of(server, **{"http2.lookahead_bytes": 1024}) as stub:
        calls = [
            stub.ModelStreamInfer(iter([infer(LONG, model)]), timeout=HANG_S) for _ in range(20)
        ]
        time.sleep(2)
        for call in calls:
            call.cancel()


@bomb("grpc: 50 MB of zeros in gzip")
def compressed(server: Served) -> None:
    request = service_pb2.ModelInferRequest(model_name="gemma4_unary")
    request.inputs.add(name="text_input", datatype="BYTES", shape=[1, 1])
    request.raw_input_contents.append(struct.pack("<I", 50_000_000) + bytes(50_000_000))
    with stub_of(server) as stub, suppress(grpc.RpcError):
        stub.ModelInfer(request, timeout=HANG_S, compression=grpc.Compression.Gzip)


@bomb("grpc: a method that is not there", method="Nothing")
@bomb("grpc: a message that is none", method="ModelInfer")
def wrong_method(server: Served, *, method: str) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
        with suppress(grpc.RpcError):
            call(b"\xff" * 1000, timeout=HANG_S)


@bomb("grpc: a deadline of a millisecond, 200 times")
def short_deadlines(server: Served) -> None:
    with stub_of(server) as stub:
        for number in range(200):
            with suppress(grpc.RpcError):
                stub.ModelInfer(infer(SHORT, "gemma4_unary"), timeout=0.001 * (1 + number % 5))


@bomb("unary: 200 calls at once")
def unary_flood(server: Served) -> None:
    with stub_of(server) as stub:
        calls = [stub.ModelInfer.future(infer(SHORT, "gemma4_unary"), timeout=HANG_S) for _ in range(200)]  # fmt: skip
        codes = {call.code() for call in calls}
        assert grpc.StatusCode.OK in codes
        assert grpc.StatusCode.DEADLINE_EXCEEDED not in codes
