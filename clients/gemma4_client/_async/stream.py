"""The chunks of one answer, in an event loop."""

# sync: """The chunks of one answer, blocking."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

import tenacity

from gemma4_client._async.transport import AsyncCall
from gemma4_client.assembly import Assembly
from gemma4_client.concurrency.tasks import Stop
from gemma4_client.errors import CancelledError, Gemma4Error, UnavailableError
from gemma4_client.guides import parse_answer
from gemma4_client.results import Answer, Delta
from gemma4_client.retry import Guard
from gemma4_client.spans import CallSpan
from gemma4_client.transport.base import own_cancel
from gemma4_client.transport.forks import Owner

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["AsyncStream"]

Found = tuple[AsyncCall | None, Callable[[list[Delta]], Awaitable[None]] | None]
"""A cached answer, and where to keep a new one."""


class AsyncStream:
    """The chunks of one answer, in order: ``async for delta in stream``. Leaving the loop or the
    ``async with`` block, :meth:`cancel`, and cancelling the task end the server's work on it; what
    came until then is in :attr:`answer`. Raises the exceptions of :mod:`gemma4_client.errors`.

    The request is on its way when :meth:`AsyncClient.chat` returns (with a cache: when it is first
    read). One that the server refused (UNAVAILABLE) is sent again while the stream is read."""

    # sync: """The chunks of one answer, in order: ``for delta in stream``. Leaving the loop or the
    # sync: ``with`` block, or :meth:`cancel`, ends the server's work on it; what came until then is in
    # sync: :attr:`answer`. Raises the exceptions of :mod:`gemma4_client.errors`.
    # sync:
    # sync: The request is on its way when :meth:`Client.chat` returns (with a cache: when it is first
    # sync: read). One that the server refused (UNAVAILABLE) is sent again, as the client's
    # sync: :class:`RetryPolicy` says, while the stream is read."""

    def __init__(
        self,
        start: Callable[[float | None], AsyncCall],
        guard: Guard,
        *,
        timeout: float | None = None,
        model: type[Any] | None = None,
        lookup: Callable[[], Awaitable[Found]] | None = None,
        span: CallSpan | None = None,
    ) -> None:
        """``start`` sends the request with the seconds that are left; ``lookup`` asks the
        cache; ``span`` ends with the answer."""
        self._start = start
        self._owner = Owner()
        self._guard = guard
        guard.earn()
        self._deadline = None if timeout is None else monotonic() + timeout
        self._model = model
        self._lookup = lookup
        self._cached = False
        self._span = span
        self._assembly = Assembly(keep=lookup is not None)
        self._stop = Stop()
        self._read = False
        self._call: AsyncCall | None = None
        if lookup is None:
            try:
                self._open()
            except Gemma4Error:
                self._call = None  # told to whoever reads

    def _open(self) -> AsyncCall:
        self._guard.before()
        left = None if self._deadline is None else max(self._deadline - monotonic(), 0.001)
        self._call = call = self._start(left)
        if self._stop.is_set():
            call.cancel()  # another thread may have cancelled while it started
        return call

    async def __aiter__(self) -> AsyncIterator[Delta]:
        if self._assembly.finished:
            return
        self._owner.check("answer")
        if self._read:
            raise CancelledError("the stream was left before its end; start another")
        self._read = True
        add = self._assembly.add
        store = None
        try:
            if self._lookup is not None:
                self._call, store = await self._lookup()
                self._cached = self._call is not None
            try:
                delta, chunks = await self._first()
            except UnavailableError as error:
                delta, chunks = await self._again(error)
            yield add(delta)
            self._owner.check("answer")
            async for delta in chunks:
                yield add(delta)
                self._owner.check("answer")
            self._assembly.close()
        finally:
            if self._call is not None and self._owner.here:
                self._call.cancel()
            if self._span is not None:
                self._span.end(self._assembly.last, sys.exc_info()[1])
        if store is not None:
            await store(self._assembly.deltas)

    async def _again(self, first: UnavailableError) -> tuple[Delta, AsyncIterator[Delta]]:
        """Make the attempts after the first, which failed."""
        failed: list[UnavailableError] = [first]

        async def attempt() -> tuple[Delta, AsyncIterator[Delta]]:
            if failed:
                raise failed.pop()
            return await self._first()

        retrying = tenacity.AsyncRetrying(**self._guard.retrying(self._deadline, self._stop.wait))
        return await retrying(attempt)

    async def _first(self) -> tuple[Delta, AsyncIterator[Delta]]:
        """Make one attempt, to its first chunk."""
        if self._stop.is_set():
            raise CancelledError(own_cancel())
        call, self._call = self._call, None
        chunks = aiter(call or self._open())
        self._call = self._call or call
        try:
            async for delta in chunks:
                self._guard.succeeded()
                return delta, chunks
        except Gemma4Error as error:
            self._guard.failed(error)
            self._call = None
            raise
        self._assembly.close()
        raise AssertionError("an empty stream passed as whole")

    @property
    def span(self) -> Span | None:
        """OpenTelemetry's span of this request, for attributes of your own; None without a
        tracer."""
        return None if self._span is None else self._span.span

    @property
    def answer(self) -> Answer:
        """What came so far."""
        answer = self._assembly.answer()
        answer.cached = self._cached
        return answer

    async def result(self) -> Answer:
        """Read to the end and return the whole answer. Raises :class:`ResponseFormatError` beside
        the errors of the stream when a ``response_model`` was asked for."""
        async for _ in self:
            pass
        answer = self.answer
        if self._model is not None and not answer.tool_calls:
            answer.parsed = parse_answer(answer, self._model)
        return answer

    def cancel(self) -> None:
        """End the server's work; a reader gets :class:`CancelledError`. Call it in the loop's
        thread."""
        # sync: """End the server's work. Safe from another thread; a reader gets
        # sync: :class:`CancelledError`."""
        self._stop.set()
        call = self._call
        if call is not None and self._owner.here:
            call.cancel()
        if self._span is not None:
            self._span.end(self._assembly.last, CancelledError(own_cancel()))

    async def aclose(self) -> None:
        """Do as :meth:`cancel`."""
        self.cancel()

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
