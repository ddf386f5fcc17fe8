"""An engine whose running requests share its steps: continuous batching with chunked prefill."""

from __future__ import annotations

import heapq
from collections import deque

from gemma4_plan.simulate.agenda import Agenda
from gemma4_plan.simulate.engine import Engine
from gemma4_plan.simulate.fleet import Replica
from gemma4_plan.simulate.request import Request
from gemma4_plan.simulate.sink import Sink
from gemma4_plan.simulate.steps import StepTimes

__all__ = ["StepEngine"]

_MOST_AT_ONCE = 256
"""Steps that are taken together while nothing changes. Their time is that of their middle one,
which is exact where it grows evenly with the context."""


class StepEngine(Engine):
    """Steps follow each other without a gap while anything runs. A step has a token of each running
    answer and, first come first served, as much of prompts as :attr:`Replica.step_tokens` leaves;
    requests are taken in between steps. Steps without prompts are taken together up to the first
    end of an answer, and cut short when a request comes that can be taken."""

    def __init__(
        self, replica: Replica, times: StepTimes, number: int, agenda: Agenda, sink: Sink
    ) -> None:
        self._slots = replica.slots
        self._budget = replica.step_tokens
        self._room = replica.kv_tokens
        self._seconds = times.seconds
        super().__init__(replica, number, agenda, sink)

    def _forget(self) -> None:
        self._suspended: deque[Request] = deque()
        self._reading: deque[Request] = deque()  # prompts that are being read
        self._read: list[Request] = []  # those whose last part is in the running step
        self._finishing: list[tuple[int, int, Request]] = []
        self._order = 0
        self._decode = 0  # answers that get a token in each step
        self._context = 0  # their tokens
        self._held = 0  # tokens in the KV cache
        self._step = 0  # steps so far
        self._planned = 0  # steps under way, 0 when idle
        self._began = 0.0

    @property
    def running(self) -> int:
        return self._decode + len(self._reading) + len(self._read)

    def _come(self, now: float) -> None:
        if not self._planned:
            self._begin(now)
        elif self._planned > 1 and len(self.waiting) == 1 and self._has_room(now):
            self._cut(now)

    def wake(self, now: float) -> None:
        """End the steps under way and begin the next."""
        steps, decode, sink = self._planned, self._decode, self._sink
        running = self.running
        self._step += steps
        grown = decode * steps
        sink.spent(
            self._began, now, running=running, held=self._held + grown / 2,
            tokens=grown + len(self._read),
        )  # fmt: skip
        self._context += grown
        self._held += grown
        if self._read:
            self._join(now)
        finishing = self._finishing
        while finishing and finishing[0][0] <= self._step:
            finish, _, request = heapq.heappop(finishing)
            if request.finish == finish:
                self._end(request, now)
        self._begin(now)

    def _join(self, now: float) -> None:
        """Give the prompts that were read in the last step their first token."""
        for request in self._read:
            request.first = now
            self._prefixes.keep(request.blocks)
            self._decode += 1
            self._context += request.prompt + 1
            self._held += 1
            request.finish = self._step + request.output - 1
            self._push(request)
        self._read = []

    def _push(self, request: Request) -> None:
        self._order += 1
        heapq.heappush(self._finishing, (request.finish, self._order, request))

    def _end(self, request: Request, now: float) -> None:
        tokens = request.prompt + request.output
        self._decode -= 1
        self._context -= tokens
        self._held -= tokens
        self.requests.discard(request)
        self._sink.ended(request, now)

    def _has_room(self, now: float) -> bool:
        """Whether the next request could be taken at ``now``, between steps."""
        if self.running + len(self._suspended) >= self._slots or self._suspended:
            return False
        if self._room is None:
            return True
        # One more step of growth has to fit too, or it would be suspended at once.
        grown = self._decode * self._planned if self._planned else 0
        wanted = self.waiting[0].prompt + 1 + self._decode
        return self._held + grown + wanted <= self._room or not self.running

    def _admit(self, now: float) -> None:
        room = self._room
        while self._suspended:
            request = self._suspended[0]
            tokens = request.prompt + request.output - request.left
            assert room is not None
            if self.running and self._held + tokens + self._decode + 1 > room:
                return
            self._suspended.popleft()
            self._decode += 1
            self._context += tokens
            self._held += tokens
            request.finish = self._step + request.left
            request.left = 0
            self._push(request)
        while self.waiting and self._has_room(now):
            request = self.waiting.popleft()
            request.started = now
            request.cached = min(self._prefixes.match(request.blocks), request.prompt - 1)
            request.left = request.prompt - request.cached
            self._held += request.prompt
            self._reading.append(request)
            self._sink.started(request, now)

    def _begin(self, now: float) -> None:
        """Plan the next step, or several."""
        self._planned = 0
        if self.waiting or self._suspended:
            self._admit(now)
        if self._room is not None:
            while self._decode > 1 and self._held + self._decode > self._room:
                self._suspend()
        if self._reading:
            time = self._plan_prefill()
        elif self._decode:
            time = self._plan_decode()
        else:
            return
        self._began = now
        self._agenda.call(now + time, self)

    def _plan_prefill(self) -> float:
        left = self._budget - self._decode
        taken, seen = 0, 0.0
        reading = self._reading
        while reading and taken < left:
            request = reading[0]
            part = min(request.left, left - taken)
            seen += part * (request.prompt - request.left + part / 2)
            request.left -= part
            taken += part
            if request.left:
                break
            self._read.append(reading.popleft())
        self._planned = 1
        return self._seconds(self._decode, self._context, taken, seen / taken if taken else 0.0)

    def _plan_decode(self) -> float:
        finishing = self._finishing
        while finishing[0][2].finish != finishing[0][0]:
            heapq.heappop(finishing)
        steps = min(finishing[0][0] - self._step, _MOST_AT_ONCE)
        if self._room is not None:
            steps = min(steps, (self._room - self._held) // self._decode)
        self._planned = max(1, steps)
        return self._time_of(self._planned)

    def _time_of(self, steps: int) -> float:
        """Return the seconds of so many steps without prompts, from the running one's beginning."""
        middle = self._context + self._decode * (steps - 1) / 2
        return steps * self._seconds(self._decode, middle, 0, 0.0)

    def _cut(self, now: float) -> None:
        """End the steps under way with the one that runs at ``now``."""
        since, low, high = now - self._began, 1, self._planned
        while low < high:
            middle = (low + high) // 2
            if self._time_of(middle) >= since:
                high = middle
            else:
                low = middle + 1
        if low < self._planned:
            self._planned = low
            self._agenda.call(max(now, self._began + self._time_of(low)), self)

    def _suspend(self) -> None:
        """Take the youngest answer's tokens out of the KV cache until there is room again."""
        youngest = max(
            (entry for entry in self._finishing if entry[2].finish == entry[0]),
            key=lambda entry: (entry[2].started, entry[1]),
        )[2]
        youngest.left = youngest.finish - self._step
        tokens = youngest.prompt + youngest.output - youngest.left
        youngest.finish = -1
        self._decode -= 1
        self._context -= tokens
        self._held -= tokens
        self._suspended.appendleft(youngest)
        self._sink.suspended += 1
