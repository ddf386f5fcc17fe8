"""The synchronous client."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gemma4_client.errors import CancelledError, StreamOrderError, from_rpc, from_wire
from gemma4_client.results import Answer, Delta
from gemma4_client.wire import MODEL, build_request, read_delta

__all__ = ["Client", "Stream"]

_LARGEST_MESSAGE = 64 << 20
_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    # Keeps a connection through load balancers that drop idle ones; the server allows 10 s.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class Stream:
    """The chunks of one answer, in order. Leaving the ``with`` block, or :meth:`cancel`, stops the
    server's work on it. Raises the exceptions of :mod:`gemma4_client.errors`."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._next = 0
        self._finished = False
        self._cancelled = False
        self.answer = Answer()

    def __iter__(self) -> Iterator[Delta]:
        try:
            for message in self._call:
                if message.error_message:
                    raise from_wire(message.error_message)
                delta = read_delta(message.infer_response)
                if delta is not None:
                    yield self._check(delta)
                if message.infer_response.parameters["triton_final_response"].bool_param:
                    break
        except grpc.RpcError as error:
            if self._cancelled:
                raise CancelledError("cancelled by this client") from None
            raise from_rpc(error) from None
        finally:
            self._call.cancel()
        if not self._finished:
            raise StreamOrderError(f"the stream ended after {self._next} chunks without its last")

    def _check(self, delta: Delta) -> Delta:
        if delta.index != self._next or self._finished:
            raise StreamOrderError(f"chunk {delta.index} arrived where {self._next} was due")
        self._next += 1
        self._finished = bool(delta.finish_reason)
        self.answer.add(delta)
        return delta

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
        self._channel = grpc.insecure_channel(url, options=_CHANNEL_OPTIONS)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self.url = url

    def chat(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        timeout: float | None = None,
        request_id: str | None = None,
        **options: Any,
    ) -> Stream:
        """Answer OpenAI-style ``messages``. ``options`` are the model's inputs (max_tokens,
        temperature, enable_thinking, stop_words, ...). ``timeout`` is seconds until the call is
        cancelled on both sides."""
        inputs = {"messages": json.dumps(messages, ensure_ascii=False), **options}
        if tools is not None:
            inputs["tools"] = json.dumps(tools, ensure_ascii=False)
        return self._start(inputs, timeout, request_id)

    def generate(
        self,
        text: str,
        *,
        timeout: float | None = None,
        request_id: str | None = None,
        **options: Any,
    ) -> Stream:
        """Continue a raw prompt; BOS is added once. ``options`` and ``timeout`` as in
        :meth:`chat`."""
        return self._start({"text_input": text, **options}, timeout, request_id)

    def _start(
        self, inputs: dict[str, Any], timeout: float | None, request_id: str | None
    ) -> Stream:
        inputs = {"stream": True, **inputs}
        request = build_request(inputs, request_id=request_id or uuid.uuid4().hex)
        return Stream(self._stub.ModelStreamInfer(iter([request]), timeout=timeout))

    def ready(self, *, timeout: float = 5.0) -> bool:
        """True when the server can answer now."""
        request = service_pb2.ModelReadyRequest(name=MODEL)
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
