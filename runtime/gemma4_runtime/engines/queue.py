"""Slots and a bounded queue, shared by the engines that schedule requests themselves."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition

from gemma4_runtime.engines.base import EngineFinish, EngineInfo, EngineStats, TokenSink
from gemma4_runtime.errors import Code, RequestError, overloaded
from gemma4_runtime.messages import GenerationRequest, TopLogProbs

__all__ = ["Job", "RequestQueue"]


@dataclass(eq=False, slots=True)
class Job:
    """One accepted request. Times are :func:`time.monotonic` seconds. ``cancelled`` is set by any
    thread and read by the one that runs the job."""

    request: GenerationRequest
    sink: TokenSink
    submitted: float
    started: float = 0.0
    first_token: float = 0.0
    generated: int = 0
    cached: int = 0
    cancelled: bool = False

    def deliver(
        self,
        ids: list[int],
        log_probs: list[float] | None,
        top: list[TopLogProbs] | None = None,
    ) -> None:
        """Pass new tokens on, as :meth:`TokenSink.tokens` takes them."""
        if not self.generated:
            self.first_token = time.monotonic()
        self.generated += len(ids)
        self.sink.tokens(ids, log_probs, top)


@dataclass(slots=True)
class _Counters:
    submitted: int = 0
    finished: int = 0
    cancelled: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0


@dataclass(slots=True)
class RequestQueue:
    """FIFO before ``info.slots`` running jobs. Every accepted job ends exactly once: a queued one
    by :meth:`cancel` or :meth:`close`, a running one by whoever took it, through :meth:`end`. A job
    of the quality gate is taken only when there is no other, and is counted nowhere."""

    info: EngineInfo
    _condition: Condition = field(default_factory=Condition)
    _waiting: deque[Job] = field(default_factory=deque)
    _jobs: dict[str, Job] = field(default_factory=dict)
    _running: int = 0
    _check: Job | None = None
    _draining: bool = False
    _closed: bool = False
    _lost: str = ""
    _counters: _Counters = field(default_factory=_Counters)
    on_submit: Callable[[], None] = lambda: None

    def submit(self, request: GenerationRequest, sink: TokenSink) -> None:
        """Accept a request. Raises :class:`RequestError` UNAVAILABLE."""
        with self._condition:
            if self._lost:
                raise RequestError(
                    Code.ENGINE_RESTARTING,
                    f"the engine is lost ({self._lost}); the server restarts",
                )
            if self._draining or self._closed:
                raise RequestError(
                    Code.DRAINING, "the server is draining before it stops; use another one"
                )
            users = len(self._jobs) - (self._check is not None)
            if users >= self.info.slots + self.info.max_queued or (request.check and self._jobs):
                raise overloaded(
                    f"{self._running} requests run and {len(self._waiting)} wait",
                    slots=self.info.slots,
                    max_queued=self.info.max_queued,
                )
            if request.key in self._jobs:
                raise RequestError(Code.SERVER_FAILED, f"request key {request.key} is in use")
            job = Job(request, sink, time.monotonic())
            self._jobs[request.key] = job
            self._waiting.append(job)
            if request.check:
                self._check = job
            else:
                self._counters.submitted += 1
            self._condition.notify()
        self.on_submit()

    def take(self, *, wait: bool) -> Job | None:
        """Return the next job to run, which the caller must :meth:`end`; None when closed, or when
        there is none and ``wait`` is false."""
        with self._condition:
            while not self._closed:
                if self._waiting and self._running < self.info.slots:
                    job = self._waiting.popleft()
                    job.started = time.monotonic()
                    self._running += 1
                    return job
                if not wait:
                    return None
                self._condition.wait()
            return None

    def end(self, job: Job, result: EngineFinish | RequestError) -> None:
        """Free the slot, count, and tell the sink."""
        with self._condition:
            self._running -= 1
            self._forget(job, result)
            self._condition.notify_all()
        self._tell(job, result)

    def finish(self, job: Job, reason: str) -> None:
        """Do as :meth:`end` with the job's own times."""
        now = time.monotonic()
        first = job.first_token or now
        if job.cancelled:
            reason = "cancelled"
        finish = EngineFinish(
            reason=reason,  # type: ignore[arg-type]
            queue_s=job.started - job.submitted,
            prefill_s=first - job.started,
            decode_s=now - first,
            cached_tokens=job.cached,
        )
        self.end(job, finish)

    def cancel(self, key: str) -> None:
        with self._condition:
            job = self._jobs.get(key)
            if job is None:
                return
            job.cancelled = True
            if job not in self._waiting:
                return
            self._waiting.remove(job)
            result = EngineFinish("cancelled", time.monotonic() - job.submitted, 0.0, 0.0)
            self._forget(job, result)
        self._tell(job, result)

    def cancel_all(self) -> None:
        with self._condition:
            keys = list(self._jobs)
        for key in keys:
            self.cancel(key)

    def drain(self) -> None:
        with self._condition:
            self._draining = True

    def lose(self, cause: str) -> None:
        """Take note that the engine is gone: refuse from now on, and fail what waits."""
        with self._condition:
            self._lost = cause
            waiting, self._waiting = list(self._waiting), deque()
            error = RequestError(Code.ENGINE_LOST, f"the engine was lost: {cause}")
            for job in waiting:
                self._forget(job, error)
        for job in waiting:
            self._tell(job, error)

    def close(self) -> None:
        """Cancel everything and release every thread in :meth:`take`. Waits until no job runs."""
        self.drain()
        self.cancel_all()
        with self._condition:
            self._condition.wait_for(lambda: self._running == 0)
            self._closed = True
            self._condition.notify_all()

    def stats(self) -> EngineStats:
        with self._condition:
            counters = self._counters
            check_waits = self._check in self._waiting
            check_runs = self._check is not None and not check_waits
            return EngineStats(
                active=self._running - check_runs,
                queued=len(self._waiting) - check_waits,
                slots=self.info.slots,
                max_queued=self.info.max_queued,
                draining=self._draining,
                lost=bool(self._lost),
                submitted=counters.submitted,
                finished=counters.finished,
                cancelled=counters.cancelled,
                failed=counters.failed,
                prompt_tokens=counters.prompt_tokens,
                cached_tokens=counters.cached_tokens,
                generated_tokens=counters.generated_tokens,
            )

    def _forget(self, job: Job, result: EngineFinish | RequestError) -> None:
        del self._jobs[job.request.key]
        if job is self._check:
            self._check = None
            return
        counters = self._counters
        if isinstance(result, RequestError):
            counters.failed += 1
        elif result.reason == "cancelled":
            counters.cancelled += 1
        else:
            counters.finished += 1
        if job.started:
            counters.prompt_tokens += len(job.request.input_ids)
        counters.cached_tokens += job.cached
        counters.generated_tokens += job.generated

    @staticmethod
    def _tell(job: Job, result: EngineFinish | RequestError) -> None:
        if isinstance(result, RequestError):
            job.sink.failed(result)
        else:
            job.sink.finished(result)
