"""The end of a stream's way through the engine: its chunks and its end are given to the client.

Everything here is called by the thread of the emitter that owns the streams, except where a method
says otherwise. A chunk goes by the stream's feed while the client polls that, else alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from gemma4_runtime.engines.base import Engine
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.messages import Chunk, ChunkDetails, GenerationRequest
from gemma4_runtime.server.streams.backlog import Backlog
from gemma4_runtime.server.streams.feed import Entry, Feeds
from gemma4_runtime.server.streams.record import RequestRecord, record_of
from gemma4_runtime.server.streams.stream import Stream

__all__ = ["Delivery"]


class Delivery:
    """Holds the open streams of one emitter by their request's key. ``in_flight`` is told how many
    more or fewer are open; ``on_end`` gets one record of each stream,
    and its request."""

    def __init__(
        self,
        engine: Engine,
        feeds: Feeds,
        backlog: Backlog,
        *,
        in_flight: Callable[[int, bool], None],
        on_end: Callable[[RequestRecord, GenerationRequest], None],
    ) -> None:
        self._engine = engine
        self._feeds = feeds
        self._backlog = backlog
        self._in_flight = in_flight
        self._on_end = on_end
        self._lock = Lock()
        self._streams: dict[str, Stream] = {}

    # -- called from any thread -----------------------------------------------------------------

    def add(self, stream: Stream) -> bool:
        """Note that ``stream`` is open; False when its key is in use."""
        with self._lock:
            if stream.request.key in self._streams:
                return False
            self._streams[stream.request.key] = stream
        self._in_flight(1, stream.transport.direct)
        return True

    def find(self, key: str) -> Stream | None:
        """Return the open stream of a request."""
        with self._lock:
            return self._streams.get(key)

    def open_streams(self) -> list[Stream]:
        """Return all open streams, the oldest first."""
        with self._lock:
            return list(self._streams.values())

    def refuse(self, stream: Stream, error: RequestError) -> None:
        """End a stream that the emitter's thread has not seen yet."""
        stream.closed = True
        stream.transport.fail(error)
        self._report(stream, error)

    def forget(self, stream: Stream) -> None:
        """Note that ``stream`` is open no more."""
        with self._lock:
            known = self._streams.get(stream.request.key) is stream
            if known:
                del self._streams[stream.request.key]
        if known:
            self._in_flight(-1, stream.transport.direct)

    # -- the emitter's thread -------------------------------------------------------------------

    def send(self, stream: Stream, chunk: Chunk) -> None:
        """Send a chunk that others follow."""
        self._send(stream, chunk, final=False)

    def send_last(self, stream: Stream, chunk: Chunk) -> None:
        """Send the chunk that ends ``stream``, which is closed from now on."""
        self._close(stream)
        self._send(stream, chunk, final=True)

    def send_alone(self, stream: Stream, chunk: Chunk, *, final: bool = False) -> None:
        """Send a chunk as a response of the stream's own request."""
        try:
            self._pass(stream, chunk, final=final)
        except Exception as error:  # noqa: BLE001 - one broken stream must not end the others
            self.lose(stream, f"sending to the server failed: {error}")
            return
        if final:
            self._report(stream, None)

    def after_flush(self, stream: Stream, entry: Entry, sent: bool) -> None:
        """Go on after a response of a feed, which had ``entry`` in it. A chunk that could not be
        sent takes the stream's own way, which may be healthy."""
        if not sent:
            if entry.final or not stream.closed:
                self.send_alone(stream, entry.chunk, final=entry.final)
        elif entry.final:
            self._report(stream, None)
            stream.transport.end()

    def fail(self, stream: Stream, error: RequestError) -> None:
        """End ``stream`` with an error, unless it has ended."""
        if stream.closed:
            return
        self._close(stream)
        self._tell(stream, error, after_chunks=stream.passed_on)

    def stop(self, stream: Stream, error: RequestError) -> None:
        """End ``stream`` with an error, and the engine's work on it."""
        self._engine.cancel(stream.request.key)
        self.fail(stream, error)

    def lose(self, stream: Stream, why: str) -> None:
        """End a stream of which a chunk is lost. Its client is told where that still works."""
        self._engine.cancel(stream.request.key)
        if not stream.closed:
            self._close(stream)
        self._tell(stream, RequestError(Code.DELIVERY_FAILED, why), after_chunks=False)

    def _send(self, stream: Stream, chunk: Chunk, *, final: bool) -> None:
        feed = self._feeds.of(stream)
        if feed is None:
            self.send_alone(stream, chunk, final=final)
        else:
            feed.add(Entry(stream, chunk, final))

    def _pass(self, stream: Stream, chunk: Chunk, *, final: bool) -> None:
        if not stream.transport.direct:
            self._backlog.add()
            stream.passed_on = True
        stream.transport.send(chunk, final=final)

    def _tell(self, stream: Stream, error: RequestError, *, after_chunks: bool) -> None:
        """Tell that ``stream`` is closed. ``after_chunks``: by way of postprocessing, behind the
        chunks that it may still have. An ensemble ends at once when the engine's step fails: their
        text would be lost, and Triton before core#466 (February 2026) keeps for good the request
        and whatever its other steps answer after that."""
        try:
            if after_chunks:
                details = ChunkDetails(error=error.to_wire())
                chunk = Chunk(key=stream.request.key, index=-1, details=details)
                self._pass(stream, chunk, final=True)
            else:
                stream.transport.fail(error)
        except Exception as broken:  # noqa: BLE001 - as in send_alone
            error = RequestError(
                Code.DELIVERY_FAILED, f"sending {error.to_wire()!r} to the server failed: {broken}"
            )
        self._report(stream, error)

    def _close(self, stream: Stream) -> None:
        stream.closed = True
        self.forget(stream)

    def _report(self, stream: Stream, error: RequestError | None) -> None:
        self._on_end(record_of(stream, error, time.monotonic()), stream.request)
