"""The emitter: one thread that turns tokens of all streams into chunks and sends them.

Engine threads only drop tokens into mailboxes. While the emitter, or postprocessing behind it,
is busy, tokens pile up there and leave together in the next chunk: one token per chunk while the
consumer keeps up, several when it lags, in turn for every stream, with no queue that can grow.
The same thread watches deadlines and sends the probes by which a cancel is noticed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from gemma4_runtime.engines.base import Engine, EngineFinish
from gemma4_runtime.errors import RequestError, Status, internal
from gemma4_runtime.messages import Chunk, GenerationRequest, encode
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.server.board import Board, Field
from gemma4_runtime.server.stream import Stream, Transport

__all__ = ["CHECK_S", "Emitter", "RequestRecord"]

CHECK_S = 0.2
"""How often a stream is asked whether its client is still there (seconds). The cancel law allows
0.5 s; one check costs about 50 us in postprocessing, a chunk for nothing but the check 1 ms. So a
chunk that goes out anyway asks from half that time on."""

_FIRST_CHECK_S = 0.1
"""The same before the first token, while few wait for one: a prefill ends its batch first (8
tokens of a 26B model on two cores: 0.3 to 0.45 s), which must fit into the 0.5 s too."""
_FEW = 8

_TICK_S = 0.02
_HELD_TICK_S = 0.002
_PACE_S = 0.008
"""Least time between two chunks of a stream: a faster engine gets several tokens into a chunk,
which nobody sees and which saves most of the cost. The first and the last chunk never wait."""
_BACKLOG_CHUNKS = 16
"""Chunks that postprocessing may have before it. With more, streams wait, first come first served,
and their tokens share a chunk. So the lag of a slow reader does not grow; 16 are 5 to 15 ms of its
work, enough to keep it busy between two looks at the board."""
_STALL_S = 1.0
"""Without a chunk handled for so long the count may be wrong (a step that Triton dropped), so it
starts anew."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """How one request ended, for the access log. Times are seconds."""

    request_id: str
    key: str
    status: str
    finish_reason: str
    message: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    chunks: int
    queue_s: float
    prefill_s: float
    decode_s: float
    ttft_s: float
    total_s: float


class Emitter:
    """Owns every open stream of an engine. Thread-safe; see the module docstring."""

    def __init__(
        self,
        engine: Engine,
        table: TokenTable,
        board: Board,
        *,
        on_end: Callable[[RequestRecord], None] = lambda record: None,
    ) -> None:
        self._engine = engine
        self._table = table
        self._board = board
        self._on_end = on_end
        self._ready: SimpleQueue[Stream | None] = SimpleQueue()
        self._streams: dict[str, Stream] = {}
        self._lock = Lock()
        self._held: dict[Stream, None] = {}  # in the order in which they began to wait
        self._failures: SimpleQueue[tuple[Stream, RequestError]] = SimpleQueue()
        self._sent = 0
        self._sent_base = 0
        self._handled_seen = (0, 0.0)  # the last count, and when it changed
        self._thread = Thread(target=self._run, name="emitter", daemon=True)
        self._thread.start()

    # -- called from any thread -----------------------------------------------------------------

    def open(self, request: GenerationRequest, transport: Transport) -> None:
        """Submit a request. What the engine refuses goes to ``transport.fail`` in this thread,
        before the emitter has seen the transport."""
        assembler = StreamAssembler(request, self._table, prompt_tokens=len(request.input_ids))
        stream = Stream(request, transport, assembler, wake=self._ready.put, now=time.monotonic())
        with self._lock:
            if request.key in self._streams:
                refusal: RequestError | None = internal(f"request key {request.key} is in use")
            else:
                refusal = None
                self._streams[request.key] = stream
                self._board[Field.IN_FLIGHT] = len(self._streams)
        if refusal is None:
            try:
                self._engine.submit(request, stream)
                return
            except RequestError as error:
                refusal = error
            except Exception as error:  # noqa: BLE001 - the answer law: one error, whatever broke
                refusal = internal(f"the engine refused the request: {error}")
            self._forget(stream)
        stream.closed = True
        transport.fail(refusal)
        self._report(stream, refusal)

    def cancel(self, key: str) -> None:
        """The client of ``key`` has gone. Unknown keys are ignored."""
        with self._lock:
            stream = self._streams.get(key)
        if stream is not None:
            self._fail_soon(stream, RequestError(Status.CANCELLED, "the client cancelled"))

    def abort_all(self, error: RequestError) -> None:
        """End every open stream with ``error``."""
        with self._lock:
            streams = list(self._streams.values())
        for stream in streams:
            self._fail_soon(stream, error)

    def close(self) -> None:
        """Stop the thread. Streams still open are failed as UNAVAILABLE."""
        self.abort_all(RequestError(Status.UNAVAILABLE, "the server is stopping"))
        self._ready.put(None)
        self._thread.join()

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
                return
            now = time.monotonic()
            self._apply_failures()
            for stream in dict.fromkeys([*self._held, *batch]):
                self._serve(stream, now)
            if now >= next_tick:
                next_tick = now + _TICK_S
                self._tick(now)

    def _patience(self) -> float:
        """Seconds until a held stream may be due."""
        if not self._held:
            return _TICK_S
        paced = min(s.last_sent for s in self._held) + _PACE_S - time.monotonic()
        return paced if paced > 0 else _HELD_TICK_S

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
        if None in batch:
            self._apply_failures()
            return None
        return [stream for stream in batch if stream is not None]

    def _serve(self, stream: Stream, now: float) -> None:
        if stream.closed:
            return
        if not stream.ending and self._must_wait(stream, now):
            self._held.setdefault(stream)
            return
        self._held.pop(stream, None)
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
            check = now - stream.last_check >= CHECK_S / 2
            if check:
                stream.last_check = now
            self._send(stream, stream.assembler.take(check=check), final=False)
            stream.last_sent = now

    def _must_wait(self, stream: Stream, now: float) -> bool:
        """True while a further chunk would come too soon. The first chunk never waits."""
        if not stream.assembler.next_index:
            return False
        return now < stream.last_sent + _PACE_S or self._lags(now)

    def _lags(self, now: float) -> bool:
        """True while postprocessing has enough before it."""
        handled = self._handled()
        if self._sent - self._sent_base - handled <= _BACKLOG_CHUNKS:
            return False
        if handled != self._handled_seen[0]:
            self._handled_seen = (handled, now)
        elif now - self._handled_seen[1] > _STALL_S:
            self._sent_base = self._sent - handled
            return False
        return True

    def _handled(self) -> int:
        return self._board[Field.CHUNKS_HANDLED] + self._board[Field.PACKED_HANDLED]

    def _finish(self, stream: Stream, end: EngineFinish) -> None:
        assembler = stream.assembler
        if end.reason == "cancelled" and not assembler.done:
            self._fail(stream, RequestError(Status.CANCELLED, "the request was cancelled"))
            return
        if not assembler.done:
            assembler.finish("length" if end.reason == "length" else "stop")
        timings = {
            "queue": end.queue_s,
            "prefill": end.prefill_s,
            "decode": end.decode_s,
            "cached_tokens": float(end.cached_tokens),
        }
        self._close(stream)
        self._send(stream, assembler.take(timings=timings), final=True)
        self._report(stream, None)

    def _send(self, stream: Stream, chunk: Chunk, *, final: bool) -> None:
        self._sent += 1
        self._board[Field.CHUNKS_SENT] = self._sent
        try:
            stream.transport.send(encode(chunk), final=final)
        except Exception as error:  # noqa: BLE001 - one broken stream must not end the others
            self._engine.cancel(stream.request.key)
            self._close(stream)
            self._report(stream, internal(f"sending to the server failed: {error}"))

    def _fail(self, stream: Stream, error: RequestError) -> None:
        if stream.closed:
            return
        self._close(stream)
        try:
            stream.transport.fail(error)
        except Exception as broken:  # noqa: BLE001 - as in _send
            error = internal(f"sending {error.to_wire()!r} to the server failed: {broken}")
        self._report(stream, error)

    def _close(self, stream: Stream) -> None:
        stream.closed = True
        self._held.pop(stream, None)
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        with self._lock:
            self._streams.pop(stream.request.key, None)
            self._board[Field.IN_FLIGHT] = len(self._streams)

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
        wall = time.time()
        few = sum(stream.first_token is None for stream in streams) <= _FEW
        for stream in streams:
            deadline = stream.request.deadline
            if deadline is not None and wall >= deadline:
                self._engine.cancel(stream.request.key)
                self._fail(
                    stream,
                    RequestError(
                        Status.DEADLINE_EXCEEDED,
                        f"timeout_ms: the answer was not complete after "
                        f"{(wall - stream.request.arrival) * 1000:.0f} ms; "
                        "ask for fewer tokens or allow more time",
                    ),
                )
            elif now - stream.last_check >= (
                _FIRST_CHECK_S if few and stream.first_token is None else CHECK_S
            ):
                self._probe(stream, now)
        if not streams:
            # Chunks of calls that went round postprocessing must not count as its backlog.
            self._sent_base = self._sent - self._handled()
        self._publish()

    def _probe(self, stream: Stream, now: float) -> None:
        stream.last_check = now
        probe = Chunk(key=stream.request.key, index=-1, probe=True, check=True)
        self._send(stream, probe, final=False)

    def _publish(self) -> None:
        stats, board = self._engine.stats(), self._board
        board[Field.ACTIVE] = stats.active
        board[Field.QUEUED] = stats.queued
        board[Field.DRAINING] = int(stats.draining)
        board[Field.ACCEPTED] = stats.submitted
        board[Field.FINISHED] = stats.finished
        board[Field.CANCELLED] = stats.cancelled
        board[Field.FAILED] = stats.failed
        board[Field.PROMPT_TOKENS] = stats.prompt_tokens
        board[Field.CACHED_TOKENS] = stats.cached_tokens
        board[Field.GENERATED_TOKENS] = stats.generated_tokens
        board[Field.KV_BLOCKS_USED] = stats.kv_blocks_used
        board[Field.KV_BLOCKS] = stats.kv_blocks
        board[Field.BEAT_NS] = time.monotonic_ns()

    def _report(self, stream: Stream, error: RequestError | None) -> None:
        now, end = time.monotonic(), stream.end
        timed = end if isinstance(end, EngineFinish) else None
        assembler = stream.assembler
        self._on_end(
            RequestRecord(
                request_id=stream.request.request_id,
                key=stream.request.key,
                status="OK" if error is None else error.status.value,
                finish_reason="" if error is not None else assembler.finish_reason,
                message="" if error is None else error.message,
                prompt_tokens=len(stream.request.input_ids),
                completion_tokens=assembler.completion_tokens,
                cached_tokens=timed.cached_tokens if timed else 0,
                chunks=assembler.next_index,
                queue_s=timed.queue_s if timed else 0.0,
                prefill_s=timed.prefill_s if timed else 0.0,
                decode_s=timed.decode_s if timed else 0.0,
                ttft_s=0.0 if stream.first_token is None else stream.first_token - stream.opened,
                total_s=now - stream.opened,
            )
        )
