"""The synchronous client."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gemma4_client.assembly import Assembly
from gemma4_client.errors import CancelledError, from_rpc
from gemma4_client.grpc_wire import (
    CHANNEL_OPTIONS,
    STREAM_METHOD,
    is_last,
    message_delta,
    metadata,
)
from gemma4_client.results import Answer, Delta
from gemma4_client.wire import build_request

__all__ = ["Client", "Stream"]


class Stream:
    """The chunks of one answer, in order. Leaving the ``with`` block, or :meth:`cancel`, stops the
    server's work on it. Raises the exceptions of :mod:`gemma4_client.errors`."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._assembly = Assembly()
        self._cancelled = False

    def __iter__(self) -> Iterator[Delta]:
        add = self._assembly.add
        try:
            for message in self._call:
                delta = message_delta(message)
                if delta is not None:
                    yield add(delta)
                if is_last(message):
                    break
        except grpc.RpcError as error:
            if self._cancelled:
                raise CancelledError("cancelled by this client") from None
            raise from_rpc(error) from None
        finally:
            self._call.cancel()
        self._assembly.close()

    @property
    def answer(self) -> Answer:
        """What came so far."""
        return self._assembly.answer()

    def result(self) -> Answer:
        """Read to the end and return the whole answer."""
        for _ in self:
            pass
        return self.answer

    def cancel(self) -> None:
        """Stop the server's work. Safe from another thread."""
        self._cancelled = True
        self._call.cancel()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call.cancel()


class Client:
    """A connection to one server, ``host:port`` of its gRPC service. Thread-safe."""

    def __init__(self, url: str = "127.0.0.1:8001") -> None:
        self._channel = grpc.insecure_channel(url, options=CHANNEL_OPTIONS)
        self._infer = self._channel.unary_stream(**STREAM_METHOD)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self.url = url

    def chat(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        timeout: float | None = None,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Stream:
        """Answer OpenAI-style ``messages``. ``options`` are the model's inputs (max_tokens,
        temperature, enable_thinking, stop_words, ...). ``timeout`` is seconds until the call is
        cancelled on both sides."""
        inputs = {"messages": json.dumps(messages, ensure_ascii=False), **options}
        if tools is not None:
            inputs["tools"] = json.dumps(tools, ensure_ascii=False)
        return self._start(inputs, timeout, request_id, headers)

    def generate(
        self,
        text: str,
        *,
        timeout: float | None = None,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Stream:
        """Continue a raw prompt; BOS is added once. ``options`` and ``timeout`` as in
        :meth:`chat`."""
        return self._start({"text_input": text, **options}, timeout, request_id, headers)

    def _start(
        self,
        inputs: dict[str, Any],
        timeout: float | None,
        request_id: str | None,
        headers: Mapping[str, str] | None,
    ) -> Stream:
        inputs = {"stream": True, **inputs}
        request = build_request(inputs, request_id=request_id or uuid.uuid4().hex)
        return Stream(self._infer(request, timeout=timeout, metadata=metadata(headers)))

    def ready(self, *, timeout: float = 5.0) -> bool:
        """True when the server can answer now."""
        request = service_pb2.ModelReadyRequest(name="gemma4")
        try:
            return bool(self._stub.ModelReady(request, timeout=timeout).ready)
        except grpc.RpcError:
            return False

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
