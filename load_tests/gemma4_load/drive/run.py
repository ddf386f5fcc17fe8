"""Drives one level of load against a target."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np

from gemma4_load.drive.arrivals import arrivals
from gemma4_load.drive.groups import TaskGroup
from gemma4_load.drive.lag import LagWatch
from gemma4_load.drive.level import Level, LevelResult
from gemma4_load.observe import Observation
from gemma4_load.record import Record, Window
from gemma4_load.targets.base import Target, failure_of
from gemma4_load.workloads.base import Ask, Reply, Workload
from gemma4_load.workloads.trace import Trace

__all__ = ["LevelRun"]

_SPIN_S = 0.0015
"""The event loop's timers are a millisecond coarse: the rest of a wait is spent looking."""
_IN_A_ROW = 20
"""Failures in a row after which the server is asked whether it is there."""
_OVERLOAD_PAUSE_S = 0.1
"""Seconds before a user of a closed loop asks again after a failure."""


class LevelRun:
    """``done`` is told of every record as it is complete; what it raises ends the run. The state is
    for a progress display."""

    def __init__(
        self, target: Target, workload: Workload, level: Level, done: Callable[[Record], None]
    ) -> None:
        self.level = level
        self.active = 0
        self.records: list[Record] = []
        self.tokens = 0.0
        self.failed = 0
        self._target = target
        self._workload = workload
        self._done = done
        self._numbers = count()
        self._followups: list[Ask] = []
        self._begun = 0  # after the warm-up
        self._failed_in_a_row = 0
        self._stopped = ""
        self._stop = asyncio.Event()
        self._idle_from: float | None = None
        self._zero = 0.0

    def now(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self._zero

    async def run(self) -> LevelResult:
        """Run to the end of every request. A cancelled run keeps its records in :attr:`records`."""
        self._zero = time.perf_counter()
        if isinstance(self._workload, Trace):
            way = self._open(self._replayed(self._workload))
        elif self.level.concurrency is not None:
            way = self._closed(self.level.concurrency)
        else:
            way = self._open(self._planned())
        async with LagWatch() as watch:
            await way
        return self._result(watch)

    def stop(self, why: str) -> None:
        """Send no further requests; those under way go on."""
        self._stopped = self._stopped or why
        self._stop.set()

    def _rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.level.seed, 0, number])

    def _following(
        self, record: Record, ask: Ask, reply: Reply, rng: np.random.Generator
    ) -> Ask | None:
        return self._workload.follow(ask, reply, rng) if record.whole else None

    # closed loop

    async def _closed(self, users: int) -> None:
        async with TaskGroup() as tasks:
            for _ in range(users):
                tasks.create_task(self._user())

    def _over(self) -> bool:
        level = self.level
        if self._stop.is_set():
            return True
        if level.seconds is not None and self.now() >= level.warmup + level.seconds:
            return True
        return level.requests is not None and self._begun >= level.requests

    async def _user(self) -> None:
        following: Ask | None = None
        while not self._over():
            number = next(self._numbers)
            rng = self._rng(number)
            ask = following or self._workload.first(rng)
            record, reply = await self._one(number, ask, None)
            following = self._following(record, ask, reply, rng)
            if record.failed:
                await asyncio.sleep(_OVERLOAD_PAUSE_S)
        if self._idle_from is None:
            self._idle_from = self.now()

    # open loop

    def _planned(self) -> Iterator[tuple[float, Ask | None]]:
        level = self.level
        assert level.rate is not None
        seconds = math.inf if level.seconds is None else level.warmup + level.seconds
        after = 0
        for due in arrivals(
            level.rate, seconds, kind=level.arrival, burstiness=level.burstiness, seed=level.seed
        ):
            after += due >= level.warmup
            if level.requests is not None and after > level.requests:
                return
            yield due, None

    def _replayed(self, trace: Trace) -> Iterator[tuple[float, Ask | None]]:
        for index, ask in enumerate(trace.asks(self.level.seed)):
            due = ask.at or 0.0
            beyond = self.level.seconds is not None and due > self.level.seconds
            if beyond or (self.level.requests is not None and index >= self.level.requests):
                return
            yield due, ask

    async def _open(self, plan: Iterator[tuple[float, Ask | None]]) -> None:
        async with TaskGroup() as tasks:
            for due, planned in plan:
                number = next(self._numbers)
                rng = self._rng(number)
                ask = planned or (self._followups.pop(0) if self._followups else None)
                ask = ask or self._workload.first(rng)  # made before it is due
                await self._until(due)
                if self.active >= self.level.max_in_flight:
                    self.stop(
                        f"the server fell behind: {self.active} requests in flight; lower the rate "
                        "or raise --max-in-flight"
                    )
                if self._stop.is_set():
                    break
                tasks.create_task(self._free(number, ask, due, rng))
            self._idle_from = self.now()

    async def _free(self, number: int, ask: Ask, due: float, rng: np.random.Generator) -> None:
        record, reply = await self._one(number, ask, due)
        following = self._following(record, ask, reply, rng)
        if following is not None:
            self._followups.append(following)

    async def _until(self, due: float) -> None:
        await asyncio.sleep(0)  # what was begun before counts now, also when this one is late
        left = due - self.now() - _SPIN_S
        if left > 0:
            stopped = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait((stopped,), timeout=left)
            stopped.cancel()
        while self.now() < due and not self._stop.is_set():
            await asyncio.sleep(0)

    # one request

    async def _one(self, number: int, ask: Ask, due: float | None) -> tuple[Record, Reply]:
        observed = Observation(number, ask, self.now, due=due)
        record, reply = observed.record, Reply()
        self._begun += record.scheduled >= self.level.warmup

        def seen(tokens: int) -> bool:
            self.tokens += tokens or 1
            return observed.seen(tokens)

        self.active += 1
        try:
            reply = await self._target.ask(ask, seen)
            observed.answered(reply)
            self._failed_in_a_row = 0
        except Exception as error:  # noqa: BLE001 - it is counted, with its text
            observed.failed(failure_of(error))
            self.failed += 1
        finally:
            self.active -= 1
        self.records.append(record)
        self._done(record)
        if record.failed:
            await self._after_failure(record)
        return record, reply

    async def _after_failure(self, record: Record) -> None:
        """End the run when the server has gone; one that refuses for overload has not."""
        self._failed_in_a_row += 1
        enough = max(_IN_A_ROW, self.level.concurrency or 0)
        if self._failed_in_a_row < enough or self._stop.is_set():
            return
        self._failed_in_a_row = 0
        if not await self._target.ready():
            self.stop(f"the server stopped answering at {record.end:.1f} s: {record.error}")

    def _result(self, watch: LagWatch) -> LevelResult:
        last = max((record.end for record in self.records), default=self.now())
        begin = min(self.level.warmup, last)
        end = min(self._idle_from if self._idle_from is not None else last, last)
        notes = []
        if end - begin < 0.25 * (last - begin) or end <= begin:
            notes.append("no steady state: the figures include the start and the end of the load")
            end = last
        if end <= begin:
            notes.append("nothing was measured after the warm-up; the whole run is")
            begin, end = 0.0, max(last, 1e-9)
        return LevelResult(
            level=self.level,
            records=self.records,
            window=Window(begin, end),
            client=watch.result(),
            stopped=self._stopped,
            notes=notes,
        )
