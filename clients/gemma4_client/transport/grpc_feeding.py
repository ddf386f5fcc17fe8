"""gRPC in an event loop with feeds, which the blocking client has not."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic

from gemma4_client._async.grpc_transport import AsyncGrpcTransport
from gemma4_client._async.transport import AsyncCall
from gemma4_client.address import Address
from gemma4_client.request import Request
from gemma4_client.transport.grpc_feed import Feed, FeedCall
from gemma4_client.transport.grpc_settle import calls_settled
from gemma4_client.wire import build_request

__all__ = ["FeedingGrpcTransport"]

_FEED_FROM = 8
"""Open streams from which on a further one shares a feed: fewer cost no more by themselves."""
_FEED_PAUSE_S = 5.0
"""After the server has refused one."""


class FeedingGrpcTransport(AsyncGrpcTransport):
    """Streams beside many others share a feed."""

    def __init__(self, address: Address, headers: Mapping[str, str] | None) -> None:
        super().__init__(address, headers)
        self._feed: Feed | None = None
        self._no_feed_before = 0.0

    def start(self, request: Request, timeout: float | None) -> AsyncCall:
        feed = self._feed_for(request)
        if feed is None:
            return super().start(request, timeout)
        place, number, inbox = feed.join()
        message = build_request(
            request.inputs, request_id=request.request_id, feed=place, trace=request.trace
        )
        return FeedCall(self._send(message, request, timeout), feed, number, inbox)

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

    async def close(self) -> None:
        await super().close()
        if self._feed is not None:
            await self._feed.aclose()
        await calls_settled()
