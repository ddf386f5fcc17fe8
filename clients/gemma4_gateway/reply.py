"""An HTTP response whose making ends when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gemma4_gateway.answers.sse import on_one_line
from gemma4_gateway.errors import ApiError
from gemma4_gateway.jsons import dumps
from gemma4_gateway.lifecycle import Lifecycle
from gemma4_gateway.record import LEFT, record_of

__all__ = ["EngineReply", "Out"]

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


_END_S = 1.0
"""For work to end once the engine's calls are cancelled; it takes milliseconds."""


_COMMENT = b": keep-alive\n\n"
"""Readers of events skip it."""


class Out:
    """Where a reply is written: once ``json``, or ``events`` and ``end``."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self._quiet = True
        self._ended = False
        self._busy: asyncio.Event | None = None

    async def json(self, value: Any) -> None:
        body = dumps(value)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def events(self, data: bytes) -> None:
        """Send whole server-sent events; b"" is nothing. Waits while the client does not read."""
        if self._busy is not None:
            await self._busy.wait()
        if not self.started:
            with self._alone():
                await self._start()
        if data:
            self._quiet = False
            data = on_one_line(data)
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        """Send the last events."""
        await self.events(b"")
        self._ended = True
        await self._send({"type": "http.response.body", "body": on_one_line(data)})

    async def keep_alive(self) -> None:
        """Send a comment if no event was sent since the last call. ``events`` waits for it."""
        quiet, self._quiet = self._quiet, True
        if self._ended or self._busy is not None or not quiet:
            return
        with self._alone():
            if not self.started:
                await self._start()
            await self._send({"type": "http.response.body", "body": _COMMENT, "more_body": True})

    async def _start(self) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._busy = asyncio.Event()
        try:
            yield
        finally:
            self._busy.set()
            self._busy = None


class EngineReply(Response):
    """Runs ``write``. When the client goes, ``stop`` is called, which ends the engine's work and so
    ``write``. When it fails, or the gateway stops, the client gets the error: as a status before
    the first byte, as an event made by ``error_event`` after it. Where no event came for
    ``keep_alive`` seconds (None: no limit), to twice as many, there is a comment instead."""

    def __init__(
        self,
        write: Callable[[Out], Awaitable[None]],
        *,
        stop: Callable[[], None],
        lifecycle: Lifecycle,
        error_event: Callable[[ApiError], bytes],
        keep_alive: float | None = None,
    ) -> None:
        super().__init__()
        self._write = write
        self._stop = stop
        self._lifecycle = lifecycle
        self._error_event = error_event
        self._keep_alive = keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        out = Out(send)
        record = record_of(scope)
        aborted: list[ApiError] = []

        def abort(error: ApiError) -> None:
            aborted.append(error)
            self._stop()

        self._lifecycle.enter(abort)
        work = asyncio.ensure_future(self._write(out))
        watch = asyncio.ensure_future(_gone(receive))
        try:
            while not await _first(work, watch, timeout=self._keep_alive):
                await out.keep_alive()
            if work.done():
                work.result()
            else:
                record.status, record.error = LEFT, "the client left"
        except ApiError as error:
            told = aborted[0] if aborted else error
            record.failed(told)
            if not out.started:
                raise told from None
            await out.end(self._error_event(told))
        finally:
            self._lifecycle.leave(abort)
            watch.cancel()
            await self._end(work)

    async def _end(self, work: asyncio.Future[None]) -> None:
        if not work.done():
            self._stop()
            await asyncio.wait((work,), timeout=_END_S)
            work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def _first(*some: asyncio.Future[None], timeout: float | None) -> bool:
    """Return whether one of them is done, after ``timeout`` seconds at most."""
    done, _ = await asyncio.wait(some, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
