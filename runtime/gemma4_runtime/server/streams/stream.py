"""One request's way out of the engine: a mailbox for engine threads, read by the emitter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from gemma4_runtime.engines.base import EngineFinish
from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import Chunk, GenerationRequest, TopLogProbs
from gemma4_runtime.output.assembler import StreamAssembler

__all__ = ["Place", "Stream", "Transport"]


@dataclass(frozen=True, slots=True)
class Place:
    """A stream's number in a feed: see :mod:`gemma4_runtime.server.streams.feed`."""

    feed: str
    number: int


class Transport(Protocol):
    """Where chunks of one request go. Used by the emitter thread only: Triton's response sender
    crashed the server when a second thread touched it."""

    direct: bool
    """True when chunks go straight to the client; False when postprocessing is behind, which sees a
    cancelled client where the engine's step cannot."""

    def send(self, chunk: Chunk, *, final: bool) -> None: ...

    def end(self) -> None:
        """End the stream whose last chunk went by a feed."""

    def fail(self, error: RequestError) -> None:
        """End the request with an error."""

    def client_gone(self) -> bool:
        """Return whether the client has cancelled or left. Only a ``direct`` transport can tell."""


class Stream:
    """A :class:`~gemma4_runtime.engines.base.TokenSink` that only stores; ``wake`` is called with
    the stream when it has news and none was pending."""

    def __init__(
        self,
        request: GenerationRequest,
        transport: Transport,
        assembler: StreamAssembler,
        *,
        wake: Callable[[Stream], None],
        now: float,
        place: Place | None = None,
    ) -> None:
        self.request = request
        self.transport = transport
        self.assembler = assembler
        self.place = place
        self.opened = now
        self.last_sent = float("-inf")
        self.last_check = now
        self.first_token: float | None = None
        self.last_token = now
        self.token_count = 0
        self.passed_on = False
        """A chunk has gone to postprocessing, which may still have it."""
        self.closed = False
        self.end: EngineFinish | RequestError | None = None
        self.judging = self.judged = False
        """Somebody looks, or has looked, whether the answer keeps to its guide."""
        self.verdict: RequestError | None = None
        self._wake = wake
        self._lock = Lock()
        self._inbox: list[
            tuple[Sequence[int], Sequence[float] | None, Sequence[TopLogProbs] | None]
        ] = []
        self._pending_end: EngineFinish | RequestError | None = None
        self._woken = False

    def tokens(
        self,
        ids: Sequence[int],
        log_probs: Sequence[float] | None,
        top: Sequence[TopLogProbs] | None = None,
    ) -> None:
        with self._lock:
            self._inbox.append((ids, log_probs, top))
            if self._woken:
                return
            self._woken = True
        self._wake(self)

    def finished(self, finish: EngineFinish) -> None:
        self._finish(finish)

    def failed(self, error: RequestError) -> None:
        self._finish(error)

    def _finish(self, end: EngineFinish | RequestError) -> None:
        with self._lock:
            self._pending_end = end
            if self._woken:
                return
            self._woken = True
        self._wake(self)

    def judge(self, verdict: RequestError | None) -> None:
        """Take what the look at the answer found; ``verdict`` is what the client is told instead of
        its end."""
        self.verdict, self.judged, self.judging = verdict, True, False
        self._wake(self)

    @property
    def ending(self) -> bool:
        """The engine has ended the request, and :meth:`collect` may not have seen it yet."""
        return self._pending_end is not None

    @property
    def failing(self) -> bool:
        """The same, with an error."""
        return isinstance(self._pending_end, RequestError)

    def collect(self) -> bool:
        """Move the mail into the assembler (emitter thread). True when the assembler has just
        seen the end of the answer, so that the engine is to be told to stop."""
        with self._lock:
            inbox, self._inbox = self._inbox, []
            self._woken = False
            if self._pending_end is not None:
                self.end = self._pending_end
        over = False
        for ids, log_probs, top in inbox:
            if not self.assembler.done:
                over = self.assembler.push(ids, log_probs, top) or over
        return over
