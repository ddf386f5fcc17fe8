"""The emitters of an engine, and what they share."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from threading import Lock

from gemma4_runtime.engines.base import Engine
from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import GenerationRequest
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.server.board import Board, Field
from gemma4_runtime.server.streams.backlog import Backlog
from gemma4_runtime.server.streams.emitter import Emitter
from gemma4_runtime.server.streams.feed import Poll
from gemma4_runtime.server.streams.guide_judge import Judge
from gemma4_runtime.server.streams.record import RequestRecord
from gemma4_runtime.server.streams.stream import Place, Transport

__all__ = ["Emitters"]

_COUNT = 2
"""Sending waits for Triton's process, without the GIL; meanwhile the other one works. Measured on
two cores, 256 streams of 50 tokens/s: 3,900 responses/s with one, 6,600 with two, 6,500 with three,
which share the same GIL."""


class _InFlight:
    """Open streams of all emitters, on the board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = Lock()
        self.count = self._in_ensemble = 0

    def change(self, by: int, direct: bool) -> None:
        with self._lock:
            self.count += by
            self._in_ensemble += 0 if direct else by
            # Before the sum: who sees that nothing is in flight has seen the end of these too.
            self._board[Field.IN_ENSEMBLE] = self._in_ensemble
            self._board[Field.IN_FLIGHT] = self.count


class Emitters:
    """Every stream belongs to one of the emitters, by its feed or its key. Thread-safe."""

    def __init__(
        self,
        engine: Engine,
        table: TokenTable,
        board: Board,
        *,
        on_end: Callable[[RequestRecord, GenerationRequest], None] = lambda record, request: None,
        on_tokens: Callable[[int, float], None] = lambda count, seconds: None,
        judge: Judge | None = None,
    ) -> None:
        self._engine = engine
        self._board = board
        self._backlog, self._in_flight = Backlog(board), _InFlight(board)
        self._emitters: list[Emitter] = []
        self._emitters += [
            Emitter(
                engine, table,
                backlog=self._backlog, in_flight=self._in_flight.change, on_end=on_end,
                on_tokens=on_tokens,
                on_tick=None if number else self._tick, judge=judge,
            )
            for number in range(_COUNT)
        ]  # fmt: skip

    def open(
        self, request: GenerationRequest, transport: Transport, place: Place | None = None
    ) -> None:
        """Do as :meth:`Emitter.open`."""
        self._of(request.key if place is None else place.feed).open(request, transport, place)

    def poll(self, feed: str, poll: Poll, responses: int) -> None:
        """Do as :meth:`Emitter.poll`."""
        self._of(feed).poll(feed, poll, responses)

    def cancel(self, key: str) -> None:
        """Cancel the request ``key``, whose client has gone. Unknown keys are ignored."""
        for emitter in self._emitters:
            emitter.cancel(key)

    def drain(self) -> None:
        """Do as :meth:`Emitter.drain`."""
        for emitter in self._emitters:
            emitter.drain()

    def hold(self) -> None:
        """Do as :meth:`Emitter.hold`."""
        for emitter in self._emitters:
            emitter.hold()

    def resume(self) -> None:
        """Do as :meth:`Emitter.resume`."""
        for emitter in self._emitters:
            emitter.resume()

    def abort_all(self, error: RequestError) -> None:
        """End every open stream with ``error``."""
        for emitter in self._emitters:
            emitter.abort_all(error)

    def close(self) -> None:
        """Stop the threads. Streams still open are failed as UNAVAILABLE."""
        for emitter in self._emitters:
            emitter.close()

    def _of(self, key: str) -> Emitter:
        return self._emitters[zlib.crc32(key.encode()) % _COUNT]

    def _tick(self) -> bool:
        """Do what is due, in the thread of one emitter. Return whether anything is under way."""
        if not self._in_flight.count:
            self._backlog.reset()
        return self._publish() or bool(self._in_flight.count)

    def _publish(self) -> bool:
        """Put the engine's state on the board. Return whether it is at work."""
        emitters = self._emitters
        if not emitters:
            return True  # the first one is faster than its constructor's caller
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
        board[Field.KV_BLOCK_TOKENS] = stats.kv_block_tokens
        board[Field.BEAT_NS] = _nanoseconds(min(each.last_tick for each in emitters))
        return bool(stats.active or stats.queued)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
