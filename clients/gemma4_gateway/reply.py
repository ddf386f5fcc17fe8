"""An HTTP response whose making ends when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gemma4_gateway.answers.sse import on_one_line
from gemma4_gateway.errors import ApiError
from gemma4_gateway.jsons import dumps
from gemma4_gateway.lifecycle import Lifecycle
from gemma4_gateway.record import record_of

__all__ = ["EngineReply", "Out"]

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


_END_S = 1.0
"""For work to end once the engine's calls are cancelled; it takes milliseconds."""


class Out:
    """Where a reply is written: once ``json``, or ``event`` bytes and ``end``."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def json(self, value: Any) -> None:
        body = dumps(value)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def events(self, data: bytes) -> None:
        """Send whole server-sent events; b"" is nothing. Waits while the client does not read."""
        if not self.started:
            self.started = True
            await self._send(
                {"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS}
            )
        if data:
            data = on_one_line(data)
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        """Return the last events."""
        await self.events(b"")
        await self._send({"type": "http.response.body", "body": on_one_line(data)})


class EngineReply(Response):
    """Runs ``write``. When the client goes, ``stop`` is called, which ends the engine's work and so
    ``write``. When it fails, or the gateway stops, the client gets the error: as a status before
    the first byte, as an event made by ``error_event`` after it."""

    def __init__(
        self,
        write: Callable[[Out], Awaitable[None]],
        *,
        stop: Callable[[], None],
        lifecycle: Lifecycle,
        error_event: Callable[[ApiError], bytes],
    ) -> None:
        super().__init__()
        self._write = write
        self._stop = stop
        self._lifecycle = lifecycle
        self._error_event = error_event

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
            await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            else:
                record.status, record.error = 499, "the client left"
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


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
