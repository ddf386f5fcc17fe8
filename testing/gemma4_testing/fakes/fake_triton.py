"""Servers that do what a test says, on real sockets: Triton's gRPC and HTTP methods."""

from __future__ import annotations

import itertools
import json
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

import grpc
from gemma4_client import Delta
from gemma4_client.transport.http_wire import read_json
from tritonclient.grpc import service_pb2, service_pb2_grpc

TAKES_PINGS = [("grpc.http2.max_ping_strikes", 0), ("grpc.keepalive_permit_without_calls", 1)]
"""As Triton that `gemma4 serve` starts: a client that asks every 20 seconds whether it is still
there is no attacker."""
ENGINE = json.dumps(
    {
        "id": "e1",
        "model": "fake",
        "runtime": "script",
        "runtime_version": "1",
        "precision": "none",
        "max_prompt_tokens": 1,
        "max_total_tokens": 2,
        "vocab_size": 3,
        "created": 4,
    }
).encode()


def chunk(index: int, finish: str = "", text: str = "x") -> dict[str, Any]:
    """The outputs of one response."""
    return {
        "text_output": text,
        "reasoning_output": "",
        "tool_calls": "",
        "finish_reason": finish,
        "timings": json.dumps({"queue": 0.1}) if finish else "",
        "chunk_index": index,
        "prompt_tokens": 3,
        "completion_tokens": index + 1,
        "output_ids": [7, 8],
        "output_log_probs": [],
        "cum_log_probs": -1.5,
    }


def whole(text: str = "hello") -> list[dict[str, Any]]:
    """A good answer in three chunks."""
    return [chunk(0, text=text), chunk(1, text=""), chunk(2, "stop", text="!")]


def message(outputs: dict[str, Any]) -> service_pb2.ModelStreamInferResponse:
    """``outputs`` as gRPC sends them."""
    made = service_pb2.ModelStreamInferResponse()
    out = made.infer_response
    out.outputs.add(name="packed", datatype="UINT8")
    out.raw_output_contents.append(json.dumps(outputs).encode())
    out.parameters["triton_final_response"].bool_param = bool(outputs.get("finish_reason"))
    return made


@dataclass
class Script:
    """One answer: chunks, then an error text or a status, or a wait until the caller goes."""

    chunks: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    status: str = ""
    """A gRPC status name, or for HTTP a number."""
    hang: bool = False
    drop: bool = False
    """End without a word."""


@dataclass
class Seen:
    """What arrived, one entry a request; ``times`` in seconds of the monotonic clock."""

    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def count(self) -> int:
        return len(self.bodies)


class _Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    def __init__(self, scripts: Iterator[Script], seen: Seen) -> None:
        self._scripts = scripts
        self._seen = seen

    def ModelStreamInfer(self, requests: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        self._seen.headers.append(dict(context.invocation_metadata()))
        script = next(self._scripts)
        # Before the request is read and before the first chunk: gRPC goes on after neither when the
        # caller has gone.
        if script.hang and not context.add_callback(self._seen.gone.set):
            self._seen.gone.set()  # gone already
        self._seen.times.append(monotonic())
        self._seen.bodies.append(next(requests))
        for outputs in script.chunks:
            yield message(outputs)
        if script.hang:
            self._seen.gone.wait(30)
        if script.error:
            yield service_pb2.ModelStreamInferResponse(error_message=script.error)
        if script.status:
            context.abort(grpc.StatusCode[script.status], "said the script")

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The tokenizer, asked which engine this is."""
        made = service_pb2.ModelInferResponse()
        for name, data in (
            ("token_ids", b""),
            ("text", struct.pack("<I", 0)),
            ("token_bytes", b""),
            ("engine", struct.pack("<I", len(ENGINE)) + ENGINE),
        ):
            made.outputs.add(name=name)
            made.raw_output_contents.append(data)
        return made

    def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        return service_pb2.ServerReadyResponse(ready=True)

    def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        return service_pb2.ModelReadyResponse(ready=True)


@contextmanager
def grpc_server(scripts: Iterator[Script], credentials: Any = None) -> Iterator[tuple[str, Seen]]:
    """host:port, and what arrives there."""
    seen = Seen()
    server = grpc.server(ThreadPoolExecutor(64), options=TAKES_PINGS)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Servicer(scripts, seen), server)
    port = (
        server.add_secure_port("localhost:0", credentials)
        if credentials
        else server.add_insecure_port("127.0.0.1:0")
    )
    server.start()
    try:
        yield f"{'localhost' if credentials else '127.0.0.1'}:{port}", seen
    finally:
        seen.gone.set()
        server.stop(None).wait()


@contextmanager
def http_server(scripts: Iterator[Script], context: Any = None) -> Iterator[tuple[str, Seen]]:
    """host:port, and what arrives there."""
    seen = Seen()
    in_order = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with in_order:
                seen.headers.append({k.lower(): v for k, v in self.headers.items()})
                seen.times.append(monotonic())
                seen.bodies.append(body)
                script = next(scripts)
            code = int(script.status or (400 if script.error and not script.chunks else 200))
            if self.path.endswith("/generate"):
                data = script.chunks[0] if script.chunks else {"error": script.error}
                self._whole(code, json.dumps(data).encode())
                return
            self.send_response(code)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for outputs in script.chunks:
                self._event(outputs)
            if script.hang:
                seen.gone.wait(30)
            if script.error:
                self._event({"error": script.error})
            if script.drop:
                self.close_connection = True
                return
            self._piece(b"")

        def do_GET(self) -> None:
            self._whole(200, b"")

        def _whole(self, code: int, data: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _event(self, data: dict[str, Any]) -> None:
            text = b"data: " + json.dumps(data).encode() + b"\n\n"
            self._piece(text[:9])  # a network cuts where it likes
            self._piece(text[9:])

        def _piece(self, data: bytes) -> None:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        host = "localhost" if context is not None else "127.0.0.1"
        yield f"{host}:{server.server_port}", seen
    finally:
        seen.gone.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def server_of(protocol: str, *scripts: Script) -> Iterator[tuple[str, Seen]]:
    """The URL of a server of ``protocol`` that plays ``scripts``, the last one forever."""

    endless = itertools.chain(scripts, itertools.repeat(scripts[-1]))
    make = http_server if protocol == "http" else grpc_server
    with make(endless) as (address, seen):
        yield f"{protocol}://{address}", seen


def deltas(text: str = "hello", finish: str = "stop") -> list[Delta]:
    """An answer of two chunks as the client reads it."""
    return [
        read_json(json.dumps(chunk(0, text=text)).encode()),
        read_json(json.dumps(chunk(1, finish)).encode()),
    ]
