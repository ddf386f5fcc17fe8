"""gRPC in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from time import monotonic
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gemma4_client.address import Address
from gemma4_client.errors import CancelledError, Gemma4Error, from_rpc
from gemma4_client.request import Request
from gemma4_client.results import Delta
from gemma4_client.transport.base import NEEDED, AsyncCall, own_cancel
from gemma4_client.transport.grpc_feed import Feed, FeedCall
from gemma4_client.transport.grpc_pool import Pool
from gemma4_client.transport.grpc_settle import calls_settled, read_on
from gemma4_client.transport.grpc_wire import (
    CHANNEL_OPTIONS,
    message_delta,
    metadata,
    raw_outputs,
    ready_request,
)
from gemma4_client.wire import build_infer, build_request

__all__ = ["AsyncGrpcCall", "AsyncGrpcTransport"]

_FEED_FROM = 8
"""Open streams from which on a further one shares a feed: fewer cost no more by themselves."""
_FEED_PAUSE_S = 5.0
"""After the server has refused one."""


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
        except Gemma4Error:
            await read_on(self._call)
            raise
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
        self._pool = Pool(lambda: _connect(address), _when_over)
        self._metadata = metadata(headers)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._pool.first)
        self._feed: Feed | None = None
        self._no_feed_before = 0.0

    def start(self, request: Request, timeout: float | None) -> AsyncCall:
        options: dict[str, Any] = {
            "timeout": timeout,
            "metadata": self._metadata + metadata(request.headers),
        }
        feed = self._feed_for(request)
        if feed is None:
            message = build_request(request.inputs, request_id=request.request_id)
            return AsyncGrpcCall(self._pool.start(message, **options))
        place, number, inbox = feed.join()
        message = build_request(request.inputs, request_id=request.request_id, feed=place)
        return FeedCall(self._pool.start(message, **options), feed, number, inbox)

    def _feed_for(self, request: Request) -> Feed | None:
        """One for a streamed answer beside others; None where it would save nothing."""
        if not request.streamed or self._pool.streams < _FEED_FROM:
            return None
        if self._feed is not None and self._feed.over:
            if self._feed.refused:
                self._no_feed_before = monotonic() + _FEED_PAUSE_S
            self._feed = None
        if self._feed is None and monotonic() >= self._no_feed_before:
            self._feed = Feed(self._pool.first, self._metadata)
        return self._feed

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
        options: dict[str, Any] = {"timeout": timeout, "metadata": self._metadata}
        asked = [self._stub.ServerReady(service_pb2.ServerReadyRequest(), **options)]
        asked += [self._stub.ModelReady(ready_request(name), **options) for name in NEEDED]
        replies = await asyncio.gather(*asked, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, grpc.aio.AioRpcError):
                raise reply
        return all(not isinstance(r, BaseException) and r.ready for r in replies)

    async def close(self) -> None:
        for channel in self._pool.channels:
            await channel.close()
        if self._feed is not None:
            await self._feed.aclose()
        await calls_settled()


def _connect(address: Address) -> grpc.aio.Channel:
    tls = address.tls
    if tls is None:
        return grpc.aio.insecure_channel(address.target, options=CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(
        address.target, tls.grpc_credentials(), options=(*CHANNEL_OPTIONS, *tls.grpc_options())
    )


def _when_over(call: Any, then: Callable[[], None]) -> None:
    call.add_done_callback(lambda _: then())
