"""An emitter: one thread that turns tokens of streams into chunks.

Engine threads only drop tokens into mailboxes. While the emitter, or postprocessing behind it,
is busy, tokens pile up there and leave together in the next chunk: one token per chunk while the
consumer keeps up, several when it lags, in turn for every stream, with no queue that can grow.
Streams that name a feed which their client polls wait for a poll, and share the response to it.

:class:`~gemma4_runtime.server.streams.delivery.Delivery` sends what is made here, and
:class:`~gemma4_runtime.server.streams.checks.StreamChecks` ends streams whose time is over or whose
client has left; both work in the same thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread

from gemma4_runtime.engines.base import Engine, EngineFinish
from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.logs.events import log_event
from gemma4_runtime.messages import GenerationRequest
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.server.request_key import is_shared, same_call
from gemma4_runtime.server.streams.backlog import Backlog
from gemma4_runtime.server.streams.checks import CHECK_S, StreamChecks, client_cancelled
from gemma4_runtime.server.streams.delivery import Delivery
from gemma4_runtime.server.streams.feed import Feeds, Poll
from gemma4_runtime.server.streams.guide_judge import Judge
from gemma4_runtime.server.streams.record import RequestRecord
from gemma4_runtime.server.streams.stream import Place, Stream, Transport

__all__ = ["HOLD_S", "Emitter"]

_TICK_S = 0.05
"""Seconds between two looks at deadlines and clients: a quarter of what a client may wait."""
_REST_TICK_S = 0.25
"""The same after :data:`_REST_AFTER` of them without a stream, a feed or work of the engine. News
ends the rest."""
_REST_AFTER = 4
HOLD_S = 3.0
"""Seconds after which a hold ends by itself: who asked for it may be gone."""
_HELD_TICK_S = 0.002
"""Seconds between two looks at streams that wait for postprocessing, which handles two or three
chunks in that time."""


class _Signal(Enum):
    """To the thread: look again; end."""

    WAKE = 0
    STOP = 1


class Emitter:
    """Owns streams of an engine. Thread-safe; see the module docstring. ``in_flight`` is told how
    many streams more or less are open; ``on_tokens`` how many tokens came, and how many seconds
    after those before them; ``judge`` looks at answers that have a guide; ``on_tick`` is
    called every :data:`_TICK_S` seconds in the emitter's thread, and says whether the engine or
    another emitter is at work; if none is, every :data:`_REST_TICK_S`."""

    def __init__(
        self,
        engine: Engine,
        table: TokenTable,
        *,
        backlog: Backlog,
        in_flight: Callable[[int, bool], None],
        on_end: Callable[[RequestRecord, GenerationRequest], None],
        on_tokens: Callable[[int, float], None],
        on_tick: Callable[[], bool] | None,
        judge: Judge | None = None,
    ) -> None:
        self._engine = engine
        self._pace_s = engine.info.chunk_interval_s
        self._table = table
        self._backlog = backlog
        self._on_tick = on_tick
        self._on_tokens = on_tokens
        self._judge = judge
        self._ready: SimpleQueue[Stream | _Signal] = SimpleQueue()
        self._failures: SimpleQueue[tuple[Stream, RequestError]] = SimpleQueue()
        self._held: dict[Stream, None] = {}  # in the order in which they began to wait
        self._feeds = Feeds(lambda: self._ready.put(_Signal.WAKE))
        self._delivery = Delivery(engine, self._feeds, backlog, in_flight=in_flight, on_end=on_end)
        self._checks = StreamChecks(self._delivery, self._speak)
        self._idle_ticks = 0
        self._flows = Event()
        self._flows.set()
        self._thread = Thread(target=self._run, name="emitter", daemon=True)
        self._thread.start()

    # -- called from any thread -----------------------------------------------------------------

    @property
    def last_tick(self) -> float:
        """When the thread last looked at its streams (:func:`time.monotonic`)."""
        return self._checks.last

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
        if not self._delivery.add(stream):
            refusal = invalid(Code.DUPLICATE_REQUEST, "request", "was sent before, and still runs")
            self._delivery.refuse(stream, refusal)
            return
        self._ready.put(stream)  # from now on there is something to watch
        try:
            self._engine.submit(request, stream)
            return
        except RequestError as error:
            refusal = error
        except Exception as error:  # noqa: BLE001 - one error, whatever broke
            refusal = RequestError(Code.ENGINE_FAILED, f"the engine refused the request: {error}")
        self._delivery.forget(stream)
        self._delivery.refuse(stream, refusal)

    def poll(self, feed: str, poll: Poll, responses: int) -> None:
        """Do as :meth:`Feeds.poll`."""
        self._feeds.poll(feed, poll, responses, time.monotonic())

    def drain(self) -> None:
        """End, from now on, feeds that have no stream."""
        self._feeds.drain()

    def cancel(self, key: str) -> None:
        """End the stream of ``key``, whose client has left, and those of the same call: Triton may
        ask for no more of their chunks, so nobody would notice it by them. Unknown keys are
        ignored."""
        found = self._delivery.find(key)
        streams = [] if found is None else [found]
        if is_shared(key):
            streams = [s for s in self._delivery.open_streams() if same_call(s.request.key, key)]
        for stream in streams:
            self._fail_soon(stream, client_cancelled())

    def abort_all(self, error: RequestError) -> None:
        """End every open stream with ``error``."""
        for stream in self._delivery.open_streams():
            self._fail_soon(stream, error)

    def close(self) -> None:
        """Stop the thread. Streams still open are failed as UNAVAILABLE."""
        self.resume()
        self.abort_all(RequestError(Code.SERVER_STOPPED, "the server is stopping"))
        self._ready.put(_Signal.STOP)
        self._thread.join()

    def hold(self) -> None:
        """End all feeds, and send nothing until :meth:`resume`, at most for :data:`HOLD_S` seconds:
        Triton is about to close its endpoints."""
        self._flows.clear()
        self._feeds.finish()

    def resume(self) -> None:
        """Go on after :meth:`hold`; each stream by itself."""
        self._flows.set()

    def _woken(self, stream: Stream) -> None:
        if not self._feeds.news(stream):
            self._ready.put(stream)

    def _fail_soon(self, stream: Stream, error: RequestError) -> None:
        self._failures.put((stream, error))  # before the engine's own "cancelled" can arrive
        self._engine.cancel(stream.request.key)
        self._ready.put(stream)

    # -- the emitter's thread: its loop ---------------------------------------------------------

    def _run(self) -> None:
        next_tick = 0.0
        while (news := self._wait(self._patience())) is not None:
            if self._feeds.over:
                self._feeds.close()
            if not self._flows.is_set():
                self._flows.wait(HOLD_S)
                self._flows.set()
                news = self._delivery.open_streams()  # what waited for a feed does not any more
            now = time.monotonic()
            if news and self._resting:
                self._idle_ticks, next_tick = 0, now + _TICK_S
            self._apply_failures()
            for stream in dict.fromkeys([*self._held, *self._feeds.due(now), *news]):
                self._guarded(self._serve, stream, now)
            for entry, sent in self._feeds.flush(now):
                self._guarded(self._delivery.after_flush, entry.stream, entry, sent)
            if now >= next_tick:
                self._tick(now)
                next_tick = now + self._tick_s
        self._apply_failures()
        self._feeds.close()

    def _patience(self) -> float:
        """Return the seconds until there is something to do unasked."""
        now = time.monotonic()
        waits = [self._tick_s]
        if self._held:
            paced = min(s.last_sent for s in self._held) + self._pace_s - now
            waits.append(paced if paced > 0 else _HELD_TICK_S)
        feed = self._feeds.patience(now)
        if feed is not None:
            waits.append(feed)
        return min(waits)

    def _wait(self, timeout: float) -> Iterable[Stream] | None:
        """Return streams with news, each once; None to stop."""
        try:
            batch = {self._ready.get(timeout=timeout): None}
        except Empty:
            return []
        for _ in range(self._ready.qsize()):  # nobody else takes from it
            batch[self._ready.get_nowait()] = None
        if _Signal.STOP in batch:
            return None
        return [stream for stream in batch if isinstance(stream, Stream)]

    def _apply_failures(self) -> None:
        while not self._failures.empty():
            self._delivery.fail(*self._failures.get_nowait())

    def _guarded(self, act: Callable[..., None], stream: Stream, *arguments: object) -> None:
        """Do something for one stream. Whatever breaks in it ends that stream only, with an error
        that its client is told."""
        try:
            act(stream, *arguments)
        except Exception as error:  # noqa: BLE001 - the other streams go on
            log_event("stream_broke", level="error", key=stream.request.key, error=repr(error))
            if not stream.closed:
                broke = RequestError(
                    Code.SERVER_FAILED, f"the answer cannot be continued: {error!r}"
                )
                self._delivery.stop(stream, broke)

    def _tick(self, now: float) -> None:
        streams = self._delivery.open_streams()
        self._checks.look(streams, now)
        for stream in self._feeds.tick(now, streams):
            self._ready.put(stream)
        others = self._on_tick is not None and self._on_tick()
        busy = others or bool(streams) or self._feeds.polled
        self._idle_ticks = 0 if busy else self._idle_ticks + 1

    @property
    def _resting(self) -> bool:
        return self._idle_ticks >= _REST_AFTER

    @property
    def _tick_s(self) -> float:
        return _REST_TICK_S if self._resting else _TICK_S

    # -- the emitter's thread: one stream -------------------------------------------------------

    def _speak(self, stream: Stream, now: float) -> None:
        """Send what ``stream`` has to say in place of a question."""
        self._guarded(partial(self._serve, at_once=True), stream, now)

    def _serve(self, stream: Stream, now: float, *, at_once: bool = False) -> None:
        """Make the next chunk of ``stream`` from what is in its mailbox, or end it. ``at_once``:
        whether or not it would come too soon."""
        waits = not at_once and not stream.ending and self._must_wait(stream, now)
        if waits and not stream.closed:
            self._held.setdefault(stream)
            return
        self._held.pop(stream, None)
        if stream.closed or stream.judging:
            return
        feed = self._feeds.of(stream)
        if feed is not None and not stream.failing and not feed.open(now):
            feed.news.append(stream)
            return
        if stream.collect():
            self._engine.cancel(stream.request.key)
        self._note_tokens(stream, now)
        end = stream.end
        if isinstance(end, RequestError):
            self._delivery.fail(stream, end)
        elif end is not None:
            self._finish(stream, end)
        elif stream.assembler.pending() and not stream.assembler.done:
            self._continue(stream, now)

    def _note_tokens(self, stream: Stream, now: float) -> None:
        """Note when the tokens came that were collected just now."""
        count = stream.assembler.completion_tokens
        if count == stream.token_count:
            return
        if stream.first_token is None:
            stream.first_token = now
        else:
            self._on_tokens(count - stream.token_count, now - stream.last_token)
        stream.token_count, stream.last_token = count, now

    def _must_wait(self, stream: Stream, now: float) -> bool:
        """Say whether a further chunk would come too soon. The first and the last never wait."""
        if not stream.assembler.next_index:
            return False
        if now < stream.last_sent + self._pace_s:
            return True
        return not stream.transport.direct and self._backlog.full(now)

    def _continue(self, stream: Stream, now: float) -> None:
        check = not stream.transport.direct and now - stream.last_check >= CHECK_S / 2
        if check:
            stream.last_check = now
        self._delivery.send(stream, stream.assembler.take(check=check))
        stream.last_sent = now

    def _finish(self, stream: Stream, end: EngineFinish) -> None:
        assembler = stream.assembler
        if end.reason == "cancelled" and not assembler.done:
            cancelled = RequestError(Code.ENGINE_CANCELLED, "the request was cancelled")
            self._delivery.fail(stream, cancelled)
            return
        if not assembler.done:
            assembler.finish("length" if end.reason == "length" else "stop")
        if self._must_be_judged(stream):
            return
        if stream.verdict is not None:
            self._delivery.fail(stream, stream.verdict)
            return
        timings = {
            "queue": end.queue_s,
            "prefill": end.prefill_s,
            "decode": end.decode_s,
            "cached_tokens": float(end.cached_tokens),
        }
        self._delivery.send_last(stream, assembler.take(timings=timings))

    def _must_be_judged(self, stream: Stream) -> bool:
        """Say whether the end of an answer waits for the look at its guide; the stream is served
        again then."""
        if self._judge is None or stream.judged:
            return False
        stream.judging = True
        if not self._judge.ask(stream, stream.judge):
            stream.judging, stream.judged = False, True
        return stream.judging or not stream.judged
