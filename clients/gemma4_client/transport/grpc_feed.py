"""Many streams of a client in one: a response of the server carries chunks of all of them.

A gRPC message costs Triton and this process about the same with one chunk in it as with a hundred.
So from some streams on the client polls a feed, and its further requests name it. A poll allows
several responses; the next goes out when they have been read. So a client that is busy gets more
tokens at a time, not later ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2

from gemma4_client.errors import CancelledError, Gemma4Error, from_rpc
from gemma4_client.results import Delta
from gemma4_client.transport.base import own_cancel
from gemma4_client.transport.grpc_tasks import being_cancelled, read_on
from gemma4_client.transport.grpc_wire import STREAM_METHOD, message_delta
from gemma4_client.transport.inbox import Inbox
from gemma4_client.wire import build_poll, read_bundle

__all__ = ["Feed", "FeedCall"]

_POLLS = 2
_RESPONSES = 8
"""A poll is a request and costs about four responses. With two polls the server can always go on
while the next is under way (it takes none while it prepares a request, 2 ms), and 16 responses at
most, one each 4 ms, wait for a client that lags."""
_LINGER_S = 1.0
"""How long an unused feed is polled."""
_CLOSE_S = 1.0
"""Seconds that the calls of a feed have to end."""
_SETTLE_S = 0.2
"""Seconds in which what a call asked gRPC for comes back; nothing tells when it has. 0.03 were too
few once, at a load of 15 on two cores. A loop ends so much later whose client was not closed."""


class Feed:
    """Polls from now on, in the running event loop. ``over``: it has ended, its streams go on by
    themselves; ``refused``: because the server has no feeds, or ended this one."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Any) -> None:
        self._key = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._inboxes: dict[int, Inbox] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._call = channel.stream_stream(**STREAM_METHOD)(metadata=metadata)
        self._loop = asyncio.get_running_loop()
        self._linger: asyncio.TimerHandle | None = None
        self.over = self.refused = False
        self._task = self._loop.create_task(self._run(), name="gemma4 feed")

    def join(self) -> tuple[str, int, Inbox]:
        """Return a place for a request: what it names, its number, and where its chunks go."""
        number, inbox = next(self._numbers), Inbox()
        self._inboxes[number] = inbox
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        return f"{self._key}/{number}", number, inbox

    def read(self, call: Any, inbox: Inbox) -> None:
        """Have the stream of a request read."""
        reader = self._loop.create_task(_read(call, inbox))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)

    def leave(self, number: int) -> None:
        self._inboxes.pop(number, None)
        if not self._inboxes and not self.over and not self._loop.is_closed():
            if self._linger is not None:
                self._linger.cancel()
            self._linger = self._loop.call_later(_LINGER_S, self.close)

    def close(self) -> None:
        """Stop polling."""
        self.over = True
        self._call.cancel()

    async def aclose(self) -> None:
        """End the feed with its calls; return when all has ended."""
        self.close()
        await asyncio.wait({self._task, *self._readers}, timeout=_CLOSE_S)

    async def _run(self) -> None:
        try:
            await self._poll()
            self.over = self.refused = True
            await self._call.done_writing()
            while (message := await self._call.read()) is not grpc.aio.EOF:
                self._deliver(message)  # what other polls still bring
        except grpc.aio.AioRpcError:
            self.refused = True
        except asyncio.InvalidStateError:
            pass  # written to a stream that has just ended
        except asyncio.CancelledError:
            if not self.over:  # by the end of the loop
                await _settle(self._call)
                raise
        finally:
            self.close()
            for inbox in self._inboxes.values():
                inbox.ended("feed")

    async def _poll(self) -> None:
        """Poll until the server refuses a poll, or ends the feed."""
        poll = build_poll(self._key, _RESPONSES)
        for _ in range(_POLLS):
            await self._call.write(poll)
        for count in itertools.count(1):
            message = await self._call.read()
            if message is grpc.aio.EOF or not self._deliver(message):
                return
            await asyncio.sleep(0)  # whoever got a chunk reads it first
            if count % _RESPONSES == 0:
                await self._call.write(poll)

    def _deliver(self, message: service_pb2.ModelStreamInferResponse) -> bool:
        """Deliver chunks; return False for a message without chunks."""
        if message.error_message:
            return False
        bundle = read_bundle(message.infer_response)
        for number, delta in bundle:
            inbox = self._inboxes.get(number)
            if inbox is not None:
                inbox.put(delta)
        return bool(bundle)


class FeedCall:
    """See :class:`~gemma4_client._async.transport.AsyncCall`: a ``call`` whose chunks may come by
    ``feed``."""

    def __init__(self, call: Any, feed: Feed, number: int, inbox: Inbox) -> None:
        self._call = call
        self._feed = feed
        self._number = number
        self._inbox = inbox
        feed.read(call, inbox)

    async def __aiter__(self) -> AsyncIterator[Delta]:
        try:
            while (delta := await self._inbox.get()) is not None:
                yield delta
                if delta.finish_reason:
                    return
        finally:
            self._end()

    def cancel(self) -> None:
        self._inbox.fail(CancelledError(own_cancel()))
        self._end()

    def _end(self) -> None:
        if not self._inbox.whole:  # else the end of the call is on its way
            self._call.cancel()
        self._inbox.close()
        self._feed.leave(self._number)

    def __del__(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed
            self._end()


async def _read(call: Any, inbox: Inbox) -> None:
    """Read the call's own stream: an error, the end, and the chunks that no feed took."""
    try:
        async for message in call:
            delta = message_delta(message)
            if delta is not None:
                inbox.put(delta)
        inbox.ended("call")
    except grpc.aio.AioRpcError as error:
        inbox.fail(from_rpc(error))
    except Gemma4Error as error:
        await read_on(call)
        inbox.fail(error)
    except asyncio.CancelledError:
        inbox.fail(CancelledError(own_cancel()))
        if being_cancelled(guess=True):  # by the end of the loop
            await _settle(call)
            raise


async def _settle(call: Any) -> None:
    """End ``call`` in a loop that is about to close, where what it asked gRPC for has to come back:
    later it would stop the events of the process's next loop. Nothing tells when it has."""
    call.cancel()
    await asyncio.sleep(_SETTLE_S)
