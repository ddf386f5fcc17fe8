"""An engine whose requests do not feel each other: the synthetic engine, and slots as servers."""

from __future__ import annotations

import heapq

from gemma4_plan.simulate.agenda import Agenda
from gemma4_plan.simulate.engine import Engine
from gemma4_plan.simulate.fleet import Replica
from gemma4_plan.simulate.request import Request
from gemma4_plan.simulate.sink import Sink
from gemma4_plan.simulate.steps import StreamPace

__all__ = ["StreamEngine"]


class StreamEngine(Engine):
    """A request takes a free slot, or waits for one, first come first served. ``kv_tokens`` count
    whole requests here: nothing is suspended."""

    def __init__(
        self, replica: Replica, pace: StreamPace, number: int, agenda: Agenda, sink: Sink
    ) -> None:
        self._replica = replica
        self._pace = pace
        super().__init__(replica, number, agenda, sink)

    def _forget(self) -> None:
        self._ends: list[tuple[float, int, Request]] = []
        self._order = 0
        self._held = 0

    @property
    def running(self) -> int:
        return len(self._ends)

    def _come(self, now: float) -> None:
        self._admit(now)

    def wake(self, now: float) -> None:
        """End the requests whose last token is due."""
        ends = self._ends
        while ends and ends[0][0] <= now:
            _, _, request = heapq.heappop(ends)
            self._held -= request.prompt + request.output
            self.requests.discard(request)
            self._sink.spent(
                request.started, now, running=1, held=request.prompt + request.output / 2,
                tokens=request.output,
            )  # fmt: skip
            self._sink.ended(request, now)
        self._admit(now)

    def _admit(self, now: float) -> None:
        replica, pace = self._replica, self._pace
        while self.waiting and len(self._ends) < replica.slots:
            request = self.waiting[0]
            tokens = request.prompt + request.output
            if replica.kv_tokens is not None and self._held + tokens > replica.kv_tokens:
                break
            self.waiting.popleft()
            self._held += tokens
            request.started = now
            request.cached = min(self._prefixes.match(request.blocks), request.prompt - 1)
            self._prefixes.keep(request.blocks)
            self._sink.started(request, now)
            reading = pace.prefill_s * (request.prompt - request.cached)
            request.first = now + reading + pace.interval_s
            end = request.first + (request.output - 1) * pace.interval_s
            self._order += 1
            heapq.heappush(self._ends, (end, self._order, request))
        if self._ends:
            self._agenda.call(self._ends[0][0], self)
