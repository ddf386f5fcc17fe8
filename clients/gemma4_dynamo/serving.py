"""Serves Dynamo's requests: from one of the servers, or with an error that Dynamo understands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from gemma4_client import (
    AsyncStream,
    CancelledError,
    Gemma4Error,
    InvalidRequestError,
    UnavailableError,
)

from gemma4_dynamo.asked import Asked
from gemma4_dynamo.failures import Failure, failure_of, never_begun, stopping
from gemma4_dynamo.load import Load, Running
from gemma4_dynamo.refused import RefusedError
from gemma4_dynamo.servers import Server, Servers

__all__ = ["RequestContext", "Serving"]


class RequestContext(Protocol):
    """What is used of ``dynamo.runtime.Context``."""

    def id(self) -> str: ...
    def is_stopped(self) -> bool: ...
    def async_killed_or_stopped(self) -> asyncio.Future[bool]: ...


class Serving:
    """``raise_as`` makes an exception of Dynamo's of a failure. ``read`` reads a request and raises
    :class:`RefusedError`. ``timeout``: seconds for one answer. Belongs to one event loop."""

    def __init__(
        self,
        servers: Servers,
        load: Load,
        raise_as: Callable[[Failure], Exception],
        read: Callable[[Mapping[str, Any]], Asked],
        *,
        timeout: float,
    ) -> None:
        self._servers = servers
        self._load = load
        self._raise_as = raise_as
        self._read = read
        self._timeout = timeout
        self._streams: set[AsyncStream] = set()
        self._ended = False
        self.idle = asyncio.Event()
        self.idle.set()

    @property
    def running(self) -> int:
        return len(self._load.running)

    async def generate(
        self, request: Mapping[str, Any], context: RequestContext
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Answer one request, chunk by chunk. Raises what ``raise_as`` makes."""
        if self._ended:
            raise self._raise_as(stopping())
        try:
            asked = self._read(request)
        except RefusedError as error:
            raise self._raise_as(Failure("InvalidArgument", str(error))) from None
        if over := asked.over():
            for chunk in over:
                yield chunk
            return
        running = self._load.enter(prompt_tokens=asked.prompt_tokens)
        self.idle.clear()
        try:
            async with aclosing(self._answer(asked, context, running)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except InvalidRequestError as error:
            raise self._raise_as(Failure("InvalidArgument", asked.refusal(error))) from None
        except Gemma4Error as error:
            if not (isinstance(error, CancelledError) and context.is_stopped()):
                raise self._raise_as(self._failure(error)) from None
            for chunk in asked.cancelled():
                yield chunk
        except ValueError as error:
            raise self._raise_as(Failure("InvalidArgument", str(error))) from None
        finally:
            self._load.leave(running)
            if not self._load.running:
                self.idle.set()

    async def _answer(
        self, asked: Asked, context: RequestContext, running: Running
    ) -> AsyncGenerator[dict[str, Any], None]:
        tried: frozenset[str] = frozenset()
        refusal: UnavailableError | None = None
        while (server := self._servers.pick(tried)) is not None:
            tried |= {server.address}
            try:
                async with aclosing(self._of(server, asked, context, running)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return
            except UnavailableError as error:
                if not error.overloaded:
                    self._servers.lost(server)
                if running.begun or not never_begun(error):
                    raise
                refusal = error
        raise refusal or UnavailableError("no Triton server of this worker is ready", refused=True)

    async def _of(
        self, server: Server, asked: Asked, context: RequestContext, running: Running
    ) -> AsyncGenerator[dict[str, Any], None]:
        stream = asked.start(server.client, request_id=context.id(), timeout=self._timeout)
        server.running += 1
        self._streams.add(stream)
        gone = asyncio.ensure_future(context.async_killed_or_stopped())
        gone.add_done_callback(lambda _: stream.cancel())
        try:
            async for delta in stream:
                self._load.add(running, delta)
                for chunk in await asked.chunks(delta, server.texts):
                    yield chunk
        finally:
            gone.cancel()
            stream.cancel()
            self._streams.discard(stream)
            server.running -= 1

    def _failure(self, error: Gemma4Error) -> Failure:
        if self._ended and isinstance(error, CancelledError):
            return stopping()
        return failure_of(error, any_ready=self._servers.any_ready)

    def end_all(self) -> int:
        """End what still runs, so that Dynamo gives it to another worker; return how many that
        were."""
        self._ended = True
        streams = list(self._streams)
        for stream in streams:
            stream.cancel()
        return len(streams)
