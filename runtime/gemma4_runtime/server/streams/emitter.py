"""An emitter: one thread that turns tokens of streams into chunks and sends them.

Engine threads only drop tokens into mailboxes. While the emitter, or postprocessing behind it,
is busy, tokens pile up there and leave together in the next chunk: one token per chunk while the
consumer keeps up, several when it lags, in turn for every stream, with no queue that can grow.
Streams that name a feed which their client polls wait for a poll, and share the response to it.
The same thread watches deadlines and clients. About a direct client it asks the server; through
postprocessing it sends probes, by which that notices a cancel.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from gemma4_runtime.engines.base import Engine, EngineFinish
from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.logs.events import log_event
from gemma4_runtime.messages import Chunk, GenerationRequest
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.server.streams.backlog import Backlog
from gemma4_runtime.server.streams.checks import CHECK_S, expiry, to_check
from gemma4_runtime.server.streams.feed import Entry, Feeds, Poll
from gemma4_runtime.server.streams.guide_judge import Judge
from gemma4_runtime.server.streams.record import RequestRecord, record_of
from gemma4_runtime.server.streams.stream import Place, Stream, Transport

__all__ = ["Emitter"]

_TICK_S = 0.05
_HELD_TICK_S = 0.002


class _Signal(Enum):
    """To the thread: look again; end."""

    WAKE = 0
    STOP = 1


class Emitter:
    """Owns streams of an engine. Thread-safe; see the module docstring. ``in_flight`` is told how
    many streams more or less are open; ``judge`` looks at answers that have a guide; ``on_tick`` is
    called every :data:`_TICK_S` seconds in the emitter's thread."""

    def __init__(
        self,
        engine: Engine,
        table: TokenTable,
        *,
        backlog: Backlog,
        in_flight: Callable[[int], None],
        on_end: Callable[[RequestRecord], None],
        on_tick: Callable[[], None] | None,
        judge: Judge | None = None,
    ) -> None:
        self._engine = engine
        self._pace_s = engine.info.chunk_interval_s
        self._table = table
        self._backlog = backlog
        self._in_flight = in_flight
        self._on_end = on_end
        self._on_tick = on_tick
        self._judge = judge
        self._ready: SimpleQueue[Stream | _Signal] = SimpleQueue()
        self._feeds = Feeds(lambda: self._ready.put(_Signal.WAKE))
        self._streams: dict[str, Stream] = {}
        self._lock = Lock()
        self._held: dict[Stream, None] = {}  # in the order in which they began to wait
        self._failures: SimpleQueue[tuple[Stream, RequestError]] = SimpleQueue()
        self.last_tick = time.monotonic()
        """When the thread last looked at its streams."""
        self._thread = Thread(target=self._run, name="emitter", daemon=True)
        self._thread.start()

    # -- called from any thread -----------------------------------------------------------------

    def open(
        self, request: GenerationRequest, transport: Transport, place: Place | None = None
    ) -> None:
        """Submit a request; its chunks go to ``place`` while that feed is polled. What the engine
        refuses goes to ``transport.fail`` in this thread, before the emitter has seen the
        transport."""
        assembler = StreamAssembler(request, self._table, prompt_tokens=len(request.input_ids))
        stream = Stream(
            request, transport, assembler,
            wake=self._woken, now=time.monotonic(), place=place if request.stream else None,
        )  # fmt: skip
        with self._lock:
            if request.key in self._streams:
                refusal: RequestError | None = invalid(
                    Code.DUPLICATE_REQUEST, "request", "was sent before, and still runs"
                )
            else:
                refusal = None
                self._streams[request.key] = stream
        if refusal is None:
            self._in_flight(1)
            self._ready.put(stream)  # from now on there is something to watch
            try:
                self._engine.submit(request, stream)
                return
            except RequestError as error:
                refusal = error
            except Exception as error:  # noqa: BLE001 - one error, whatever broke
                refusal = RequestError(
                    Code.ENGINE_FAILED, f"the engine refused the request: {error}"
                )
            self._forget(stream)
        stream.closed = True
        transport.fail(refusal)
        self._report(stream, refusal)

    def poll(self, feed: str, poll: Poll, responses: int) -> None:
        """As :meth:`Feeds.poll`."""
        self._feeds.poll(feed, poll, responses, time.monotonic())

    def drain(self) -> None:
        """From now on, end feeds that have no stream."""
        self._feeds.drain()

    def cancel(self, key: str) -> None:
        """The client of ``key`` has gone. Unknown keys are ignored."""
        with self._lock:
            stream = self._streams.get(key)
        if stream is not None:
            self._fail_soon(stream, _client_cancelled())

    def abort_all(self, error: RequestError) -> None:
        """End every open stream with ``error``."""
        with self._lock:
            streams = list(self._streams.values())
        for stream in streams:
            self._fail_soon(stream, error)

    def close(self) -> None:
        """Stop the thread. Streams still open are failed as UNAVAILABLE."""
        self.abort_all(RequestError(Code.SERVER_STOPPED, "the server is stopping"))
        self._ready.put(_Signal.STOP)
        self._thread.join()

    def _woken(self, stream: Stream) -> None:
        if not self._feeds.news(stream):
            self._ready.put(stream)

    def _fail_soon(self, stream: Stream, error: RequestError) -> None:
        self._failures.put((stream, error))  # before the engine's own "cancelled" can arrive
        self._engine.cancel(stream.request.key)
        self._ready.put(stream)

    # -- the emitter thread ---------------------------------------------------------------------

    def _run(self) -> None:
        next_tick = 0.0
        while True:
            batch = self._wait(self._patience())
            if batch is None:
                self._feeds.close()
                return
            now = time.monotonic()
            self._apply_failures()
            for stream in dict.fromkeys([*self._held, *self._feeds.due(now), *batch]):
                self._guarded(self._serve, stream, now)
            for entry, sent in self._feeds.flush(now):
                self._guarded(self._after_flush, entry.stream, entry, sent)
            if now >= next_tick:
                next_tick = now + _TICK_S
                self._tick(now)

    def _guarded(self, act: Callable[..., None], stream: Stream, *arguments: object) -> None:
        """Do something for one stream. Whatever breaks in it ends that stream only, with an error
        that its client is told."""
        try:
            act(stream, *arguments)
        except Exception as error:  # noqa: BLE001 - the other streams go on
            log_event("stream_broke", level="error", key=stream.request.key, error=repr(error))
            if not stream.closed:
                self._engine.cancel(stream.request.key)
                self._fail(
                    stream,
                    RequestError(Code.SERVER_FAILED, f"the answer cannot be continued: {error!r}"),
                )

    def _patience(self) -> float:
        """Seconds until there is something to do unasked."""
        now = time.monotonic()
        waits = [_TICK_S]
        if self._held:
            paced = min(s.last_sent for s in self._held) + self._pace_s - now
            waits.append(paced if paced > 0 else _HELD_TICK_S)
        feed = self._feeds.patience(now)
        if feed is not None:
            waits.append(feed)
        return min(waits)

    def _wait(self, timeout: float) -> list[Stream] | None:
        """Streams with news, each once; None to stop."""
        try:
            first = self._ready.get(timeout=timeout)
        except Empty:
            return []
        batch = {first: None}
        for _ in range(self._ready.qsize()):
            try:
                batch[self._ready.get_nowait()] = None
            except Empty:
                break
        if _Signal.STOP in batch:
            self._apply_failures()
            return None
        return [stream for stream in batch if isinstance(stream, Stream)]

    def _serve(self, stream: Stream, now: float) -> None:
        if stream.closed or stream.judging:
            return
        if not stream.ending and self._must_wait(stream, now):
            self._held.setdefault(stream)
            return
        self._held.pop(stream, None)
        feed = self._feeds.of(stream)
        if feed is not None and not stream.failing and not feed.open(now):
            feed.news.append(stream)
            return
        if stream.collect():
            self._engine.cancel(stream.request.key)
        if stream.first_token is None and stream.assembler.completion_tokens:
            stream.first_token = now
        end = stream.end
        if isinstance(end, RequestError):
            self._fail(stream, end)
        elif end is not None:
            self._finish(stream, end)
        elif stream.assembler.pending() and not stream.assembler.done:
            check = not stream.transport.direct and now - stream.last_check >= CHECK_S / 2
            if check:
                stream.last_check = now
            self._send(stream, stream.assembler.take(check=check), final=False)
            stream.last_sent = now

    def _must_wait(self, stream: Stream, now: float) -> bool:
        """True while a further chunk would come too soon. The first and the last never wait."""
        if not stream.assembler.next_index:
            return False
        if now < stream.last_sent + self._pace_s:
            return True
        return not stream.transport.direct and self._backlog.full(now)

    def _finish(self, stream: Stream, end: EngineFinish) -> None:
        assembler = stream.assembler
        if end.reason == "cancelled" and not assembler.done:
            self._fail(stream, RequestError(Code.ENGINE_CANCELLED, "the request was cancelled"))
            return
        if not assembler.done:
            assembler.finish("length" if end.reason == "length" else "stop")
        if self._must_be_judged(stream):
            return
        if stream.verdict is not None:
            self._fail(stream, stream.verdict)
            return
        timings = {
            "queue": end.queue_s,
            "prefill": end.prefill_s,
            "decode": end.decode_s,
            "cached_tokens": float(end.cached_tokens),
        }
        chunk = assembler.take(timings=timings)
        self._close(stream)
        self._send(stream, chunk, final=True)

    def _must_be_judged(self, stream: Stream) -> bool:
        """True while the end of an answer waits for the look at its guide; the stream is served
        again then."""
        if self._judge is None or stream.judged:
            return False
        stream.judging = True
        if not self._judge.ask(stream, stream.judge):
            stream.judging, stream.judged = False, True
        return stream.judging or not stream.judged

    def _send(self, stream: Stream, chunk: Chunk, *, final: bool) -> None:
        """By the feed, or by the stream's own way."""
        feed = self._feeds.of(stream)
        if feed is None:
            self._send_alone(stream, chunk, final=final)
        else:
            feed.add(Entry(stream, chunk, final))

    def _send_alone(self, stream: Stream, chunk: Chunk, *, final: bool) -> None:
        if not stream.transport.direct:
            self._backlog.add()
        try:
            stream.transport.send(chunk, final=final)
        except Exception as error:  # noqa: BLE001 - one broken stream must not end the others
            self._break(stream, f"sending to the server failed: {error}")
            return
        if final:
            self._report(stream, None)

    def _after_flush(self, stream: Stream, entry: Entry, sent: bool) -> None:
        """A response of a feed went out with ``entry``, or could not be sent: then the chunk takes
        the stream's own way, which may be healthy."""
        if not sent:
            if entry.final or not stream.closed:
                self._send_alone(stream, entry.chunk, final=entry.final)
        elif entry.final:
            self._report(stream, None)
            stream.transport.end()

    def _break(self, stream: Stream, why: str) -> None:
        """End a stream of which a chunk is lost. Its client is told where that still works."""
        self._engine.cancel(stream.request.key)
        if not stream.closed:
            self._close(stream)
        self._tell(stream, RequestError(Code.DELIVERY_FAILED, why))

    def _fail(self, stream: Stream, error: RequestError) -> None:
        if stream.closed:
            return
        self._close(stream)
        self._tell(stream, error)

    def _tell(self, stream: Stream, error: RequestError) -> None:
        """``stream`` is closed."""
        try:
            stream.transport.fail(error)
        except Exception as broken:  # noqa: BLE001 - as in _send_alone
            error = RequestError(
                Code.DELIVERY_FAILED, f"sending {error.to_wire()!r} to the server failed: {broken}"
            )
        self._report(stream, error)

    def _close(self, stream: Stream) -> None:
        stream.closed = True
        self._held.pop(stream, None)
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        with self._lock:
            known = self._streams.pop(stream.request.key, None) is not None
        if known:
            self._in_flight(-1)

    def _apply_failures(self) -> None:
        while True:
            try:
                stream, error = self._failures.get_nowait()
            except Empty:
                return
            self._fail(stream, error)

    def _tick(self, now: float) -> None:
        with self._lock:
            streams = list(self._streams.values())
        for stream in streams:
            error = expiry(stream, now)
            if error is not None:
                self._engine.cancel(stream.request.key)
                self._fail(stream, error)
        elapsed, self.last_tick = now - self.last_tick, now
        oldest, due = to_check([s for s in streams if not s.closed], now, elapsed=elapsed)
        for stream in oldest:
            if not due:
                break
            due -= self._check(stream, now)
        for stream in self._feeds.tick(now, streams):
            self._ready.put(stream)
        if self._on_tick is not None:
            self._on_tick()

    def _check(self, stream: Stream, now: float) -> bool:
        """Find out whether the client is still there; of one behind postprocessing that is told
        later, to :meth:`cancel`."""
        stream.last_check = now
        if not stream.transport.direct:
            probe = Chunk(key=stream.request.key, index=-1, probe=True, check=True)
            self._send_alone(stream, probe, final=False)
            return True
        try:
            if not stream.transport.client_gone():
                return True
        except Exception as error:  # noqa: BLE001 - as in _send
            self._break(stream, f"asking the server for the client failed: {error}")
            return False
        self._engine.cancel(stream.request.key)
        self._fail(stream, _client_cancelled())
        return False

    def _report(self, stream: Stream, error: RequestError | None) -> None:
        self._on_end(record_of(stream, error, time.monotonic()))


def _client_cancelled() -> RequestError:
    return RequestError(Code.CLIENT_CANCELLED, "the client cancelled")
