"""The asyncio client."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
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

__all__ = ["AsyncClient", "AsyncStream"]


class AsyncStream:
    """The chunks of one answer, in order: ``async for delta in stream``. Leaving the loop or the
    ``async with`` block, :meth:`cancel`, and cancelling the task stop the server's work. Raises
    the exceptions of :mod:`gemma4_client.errors`."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._assembly = Assembly()
        self._cancelled = False

    async def __aiter__(self) -> AsyncIterator[Delta]:
        add = self._assembly.add
        try:
            async for message in self._call:
                delta = message_delta(message)
                if delta is not None:
                    yield add(delta)
                if is_last(message):
                    break
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._cancelled and not (task and task.cancelling()):
                raise CancelledError("cancelled by this client") from None
            raise
        finally:
            self._call.cancel()
        self._assembly.close()

    @property
    def answer(self) -> Answer:
        """What came so far."""
        return self._assembly.answer()

    async def result(self) -> Answer:
        """Read to the end and return the whole answer."""
        async for _ in self:
            pass
        return self.answer

    def cancel(self) -> None:
        """Stop the server's work; whoever reads the stream gets :class:`CancelledError`."""
        self._cancelled = True
        self._call.cancel()

    async def aclose(self) -> None:
        """End the call, if it still runs."""
        self._call.cancel()

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class AsyncClient:
    """A connection to one server, ``host:port`` of its gRPC service, in one event loop."""

    def __init__(self, url: str = "127.0.0.1:8001") -> None:
        self.url = url
        self._channel = grpc.aio.insecure_channel(url, options=CHANNEL_OPTIONS)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._infer = self._channel.unary_stream(**STREAM_METHOD)

    def chat(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        timeout: float | None = None,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> AsyncStream:
        """Answer OpenAI-style ``messages``. ``options`` are the model's inputs (max_tokens,
        temperature, enable_thinking, stop_words, ...). ``timeout`` is seconds until the call is
        cancelled on both sides. ``headers`` travel as gRPC metadata."""
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
    ) -> AsyncStream:
        """Continue a raw prompt; BOS is added once. The rest as in :meth:`chat`."""
        return self._start({"text_input": text, **options}, timeout, request_id, headers)

    def _start(
        self,
        inputs: dict[str, Any],
        timeout: float | None,
        request_id: str | None,
        headers: Mapping[str, str] | None,
    ) -> AsyncStream:
        inputs = {"stream": True, **inputs}
        request = build_request(inputs, request_id=request_id or uuid.uuid4().hex)
        return AsyncStream(self._infer(request, timeout=timeout, metadata=metadata(headers)))

    async def ready(self, *, timeout: float = 5.0) -> bool:
        """True when the server can answer now."""
        request = service_pb2.ModelReadyRequest(name="gemma4")
        try:
            return bool((await self._stub.ModelReady(request, timeout=timeout)).ready)
        except grpc.aio.AioRpcError:
            return False

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
