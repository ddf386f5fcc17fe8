"""gRPC in an event loop."""

# sync: """gRPC, blocking."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc.aio
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gemma4_client._async.transport import AsyncCall
from gemma4_client.address import Address
from gemma4_client.errors import CancelledError, Gemma4Error, from_rpc
from gemma4_client.request import Request
from gemma4_client.results import Delta
from gemma4_client.transport.base import NEEDED, own_cancel
from gemma4_client.transport.forks import Owner
from gemma4_client.transport.grpc_pool import Pool
from gemma4_client.transport.grpc_tasks import (
    ENDED,
    IS_LOOP,
    all_ready,
    being_cancelled,
    read_on,
    when_over,
)
from gemma4_client.transport.grpc_wire import (
    channel_options,
    message_delta,
    metadata,
    raw_outputs,
    ready_request,
)
from gemma4_client.wire import build_infer, build_request

__all__ = ["AsyncGrpcCall", "AsyncGrpcTransport"]


class AsyncGrpcCall:
    """See :class:`~gemma4_client._async.transport.AsyncCall`. ``call`` iterates over messages."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._owner = Owner()
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
        except ENDED as error:
            if self._cancelled and not being_cancelled(guess=False):
                raise CancelledError(own_cancel()) from None
            if not isinstance(error, grpc.RpcError):
                raise
            if not whole:
                raise from_rpc(error) from None
        except Gemma4Error:
            await read_on(self._call)
            raise
        finally:
            self._leave()

    def cancel(self) -> None:
        self._cancelled = True
        self._leave()

    def __del__(self) -> None:
        # A call whose first message has not come is held by a task of grpc.aio, so that its own
        # finalizer would wait for it.
        with contextlib.suppress(RuntimeError):  # the loop may be closed
            self._leave()

    def _leave(self) -> None:
        """End the call; in a forked process, it goes on for the parent."""
        if self._owner.here:
            self._call.cancel()


class AsyncGrpcTransport:
    """See :class:`~gemma4_client._async.transport.AsyncTransport`."""

    def __init__(self, address: Address, headers: Mapping[str, str] | None) -> None:
        self._pool = Pool(lambda: _connect(address), when_over, loop=IS_LOOP)
        self._metadata = metadata(headers)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._pool.first)

    def start(self, request: Request, timeout: float | None) -> AsyncCall:
        message = build_request(request.inputs, request_id=request.request_id, trace=request.trace)
        return AsyncGrpcCall(self._send(message, request, timeout))

    def _send(
        self, message: service_pb2.ModelInferRequest, request: Request, timeout: float | None
    ) -> Any:
        """Send ``message``, which is of ``request``; returns gRPC's call."""
        return self._pool.start(
            message, timeout=timeout, metadata=self._metadata + metadata(request.headers)
        )

    async def infer(
        self, model: str, inputs: Mapping[str, Any], timeout: float | None
    ) -> dict[str, bytes]:
        self._pool.check()
        message = build_infer(model, inputs)
        try:
            return raw_outputs(
                await self._stub.ModelInfer(message, timeout=timeout, metadata=self._metadata)
            )
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def ready(self, timeout: float) -> bool:
        self._pool.check()
        questions = [(self._stub.ServerReady, service_pb2.ServerReadyRequest())]
        questions += [(self._stub.ModelReady, ready_request(name)) for name in NEEDED]
        return await all_ready(questions, timeout=timeout, metadata=self._metadata)

    async def close(self) -> None:
        for channel in self._pool.channels:
            await channel.close()


def _connect(address: Address) -> grpc.aio.Channel:
    tls, options = address.tls, channel_options(address)
    if tls is None:
        return grpc.aio.insecure_channel(address.target, options=options)
    credentials, more = tls.grpc_credentials(), tls.grpc_options()
    return grpc.aio.secure_channel(address.target, credentials, options=(*options, *more))
