"""Streams over every protocol that record how they ended."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from threading import Thread

import grpc
import httpx
from gemma4_client import Client
from gemma4_client.wire import build_request
from tritonclient.grpc import service_pb2_grpc

from gemma4_testing.servers.running_gateway import MODEL

__all__ = ["PROTOCOLS", "Endpoints", "Watched", "start_streams"]

PROTOCOLS = ("sdk", "ensemble", "http", "gateway")
_MESSAGES = [{"role": "user", "content": "Count from 1 to 100"}]
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Endpoints:
    """Ports of a server and of the gateway before it."""

    grpc: int
    http: int
    gateway: int


def _sdk(ports: Endpoints, tokens: int) -> Iterator[int]:
    with Client(f"127.0.0.1:{ports.grpc}", retry=None, breaker=None) as client:
        for delta in client.chat(_MESSAGES, max_tokens=tokens, timeout=TIMEOUT_S):
            yield len(delta.ids)


def _ensemble(ports: Endpoints, tokens: int) -> Iterator[int]:
    request = build_request(
        {"messages": json.dumps(_MESSAGES), "max_tokens": tokens, "stream": True},
        model="gemma4",
    )
    with grpc.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for reply in stub.ModelStreamInfer(iter([request]), timeout=TIMEOUT_S):
            if reply.error_message:
                raise RuntimeError(reply.error_message)
            for output, raw in zip(
                reply.infer_response.outputs, reply.infer_response.raw_output_contents, strict=True
            ):
                if output.name == "output_ids":
                    yield len(raw) // 4


def _http(ports: Endpoints, tokens: int) -> Iterator[int]:
    body = {"messages": json.dumps(_MESSAGES), "max_tokens": tokens, "stream": True}
    with closing(http.client.HTTPConnection("127.0.0.1", ports.http, timeout=TIMEOUT_S)) as c:
        c.request("POST", "/v2/models/gemma4/generate_stream", json.dumps(body))
        for line in c.getresponse():
            if not line.startswith(b"data:"):
                continue
            event = json.loads(line[5:])
            if "error" in event:
                raise RuntimeError(event["error"])
            ids = event.get("output_ids", [])
            yield len(ids) if isinstance(ids, list) else 1


def _gateway(ports: Endpoints, tokens: int) -> Iterator[int]:
    body = {"model": MODEL, "messages": _MESSAGES, "max_tokens": tokens, "stream": True,
            "stream_options": {"include_usage": True}}  # fmt: skip
    url = f"http://127.0.0.1:{ports.gateway}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, timeout=TIMEOUT_S) as reply:
        if reply.status_code != 200:
            raise RuntimeError(reply.read().decode())
        for line in reply.iter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise RuntimeError(json.dumps(event["error"]))
            yield event["usage"]["completion_tokens"] if event.get("usage") else 0


_WAYS: dict[str, Callable[[Endpoints, int], Iterator[int]]] = {
    "sdk": _sdk, "ensemble": _ensemble, "http": _http, "gateway": _gateway,
}  # fmt: skip


class Watched:
    """One stream in a thread. ``outcome``: "whole", "cut: N", "error: ...", or "" while it is
    open. ``ended``: when it was over (:func:`time.monotonic`)."""

    def __init__(self, protocol: str, ports: Endpoints, tokens: int) -> None:
        self.protocol = protocol
        self.outcome = ""
        self.ended = 0.0
        self.got = 0
        self._thread = Thread(target=self._run, args=(ports, tokens), daemon=True)
        self._thread.start()

    def _run(self, ports: Endpoints, tokens: int) -> None:
        try:
            for count in _WAYS[self.protocol](ports, tokens):
                self.got += count
            outcome = "whole" if self.got == tokens else f"cut: {self.got}"
        except Exception as error:  # noqa: BLE001 - it is what is recorded
            outcome = f"error: {type(error).__name__}: {_first_line(error)}"
        self.ended = time.monotonic()
        self.outcome = outcome

    def wait(self, timeout: float) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()


def start_streams(ports: Endpoints, count: int, *, tokens: int) -> list[Watched]:
    """``count`` streams, of every protocol in turn."""
    return [Watched(PROTOCOLS[i % len(PROTOCOLS)], ports, tokens) for i in range(count)]


def _first_line(error: Exception) -> str:
    """gRPC's own text has several."""
    return error.details() if isinstance(error, grpc.RpcError) else str(error)
