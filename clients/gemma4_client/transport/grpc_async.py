"""gRPC in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gemma4_client.address import Address
from gemma4_client.errors import CancelledError, from_rpc
from gemma4_client.request import Request
from gemma4_client.results import Delta
from gemma4_client.transport.base import own_cancel
from gemma4_client.transport.grpc_wire import (
    CHANNEL_OPTIONS,
    STREAM_METHOD,
    message_delta,
    metadata,
    raw_outputs,
)
from gemma4_client.wire import MODEL, build_infer, build_request

__all__ = ["AsyncGrpcCall", "AsyncGrpcTransport"]


class AsyncGrpcCall:
    """See :class:`~gemma4_client.transport.base.AsyncCall`."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._cancelled = False

    async def __aiter__(self) -> AsyncIterator[Delta]:
        whole = False
        try:
            # To the end of the call, not to the last chunk: a cancel now would be one more packet.
            async for message in self._call:
                delta = message_delta(message)
                if delta is not None:
                    whole = delta.finish_reason != ""
                    yield delta
        except grpc.aio.AioRpcError as error:
            if not whole:
                raise from_rpc(error) from None
        except asyncio.CancelledError:
            # grpc.aio raises this for a cancelled call too; a cancelled task has to see it.
            task = asyncio.current_task()
            if self._cancelled and not (task and task.cancelling()):
                raise CancelledError(own_cancel()) from None
            raise
        finally:
            self._call.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        self._call.cancel()

    def __del__(self) -> None:
        # A call whose first message has not come is held by its own task, so that grpc.aio's
        # finalizer would wait for it.
        with contextlib.suppress(RuntimeError):  # the loop may be closed
            self._call.cancel()


class AsyncGrpcTransport:
    """See :class:`~gemma4_client.transport.base.AsyncTransport`."""

    def __init__(self, address: Address, headers: Mapping[str, str] | None) -> None:
        tls = address.tls
        if tls is None:
            self._channel = grpc.aio.insecure_channel(address.target, options=CHANNEL_OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(
                address.target,
                tls.grpc_credentials(),
                options=(*CHANNEL_OPTIONS, *tls.grpc_options()),
            )
        self._metadata = metadata(headers)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._infer = self._channel.unary_stream(**STREAM_METHOD)

    def start(self, request: Request, timeout: float | None) -> AsyncGrpcCall:
        message = build_request(request.inputs, request_id=request.request_id)
        return AsyncGrpcCall(
            self._infer(
                message, timeout=timeout, metadata=self._metadata + metadata(request.headers)
            )
        )

    async def infer(
        self, model: str, inputs: Mapping[str, Any], timeout: float | None
    ) -> dict[str, bytes]:
        message = build_infer(model, inputs)
        try:
            return raw_outputs(
                await self._stub.ModelInfer(message, timeout=timeout, metadata=self._metadata)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from None

    async def ready(self, timeout: float) -> bool:
        request = service_pb2.ModelReadyRequest(name=MODEL)
        try:
            reply = await self._stub.ModelReady(request, timeout=timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError:
            return False
        return bool(reply.ready)

    async def close(self) -> None:
        await self._channel.close()
