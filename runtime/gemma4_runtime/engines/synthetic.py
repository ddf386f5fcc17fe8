"""No model: tokens at a set pace, for benchmarks of everything around the engine and for fault
tests. The tokens are those of the prompt, over and over, so that text and counts are known."""

from __future__ import annotations

import heapq
import os
import signal
import time
from dataclasses import dataclass
from threading import Condition, Thread

from gemma4_runtime.engines.base import EngineInfo, EngineStats, TokenSink
from gemma4_runtime.engines.queue import Job, RequestQueue
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.messages import GenerationRequest
from gemma4_runtime.recorded_answers import synthetic_cycle

__all__ = ["Faults", "SyntheticEngine"]


@dataclass(frozen=True, slots=True)
class Faults:
    """Break on purpose, counted in tokens of one request; 0 is never. ``kill_at`` ends the
    process with SIGKILL, ``fail_at`` fails the request, ``stall_at`` sends nothing more: all three
    of clients' requests only. ``wrong_at`` answers other tokens from there on, to everybody, as
    damaged weights would."""

    kill_at: int = 0
    fail_at: int = 0
    stall_at: int = 0
    wrong_at: int = 0


class SyntheticEngine:
    """``interval_s`` is the time between tokens of one stream, 0 for as fast as can be;
    ``tokens_per_step`` of them come at once, in that many intervals; ``prefill_s_per_1k`` is the
    time before the first step, for 1,000 prompt tokens. The pace is that of a schedule: a late
    token does not delay the next."""

    def __init__(
        self,
        *,
        slots: int,
        max_queued: int,
        max_total_tokens: int,
        vocab_size: int,
        special_ids: frozenset[int],
        interval_s: float = 0.0,
        tokens_per_step: int = 1,
        prefill_s_per_1k: float = 0.0,
        faults: Faults | None = None,
    ) -> None:
        info = EngineInfo("synthetic", "1", "none", slots, max_queued, max_total_tokens, vocab_size)
        self._special = special_ids
        self._interval = interval_s * tokens_per_step
        self._per_step = tokens_per_step
        self._prefill = prefill_s_per_1k
        self._faults = faults or Faults()
        self._condition = Condition()
        self._stop = False
        self._cancels = False  # some job may be cancelled
        self._news = False  # something has changed since the thread last looked
        self._queue = RequestQueue(info, on_submit=self._wake)
        self._thread = Thread(target=self._run, name="synthetic", daemon=True)
        self._thread.start()

    @property
    def info(self) -> EngineInfo:
        return self._queue.info

    def submit(self, request: GenerationRequest, sink: TokenSink) -> None:
        self._queue.submit(request, sink)

    def cancel(self, key: str) -> None:
        self._queue.cancel(key)
        self._cancels = True
        self._wake()

    def stats(self) -> EngineStats:
        return self._queue.stats()

    def drain(self) -> None:
        self._queue.drain()

    def close(self) -> None:
        self._queue.drain()
        self._queue.cancel_all()
        self._cancels = True
        self._wake()
        self._queue.close()
        with self._condition:
            self._stop = True
            self._condition.notify()
        self._thread.join()

    def _wake(self) -> None:
        with self._condition:
            self._news = True
            self._condition.notify()

    def _run(self) -> None:
        due: list[tuple[float, int, Job, list[int]]] = []
        order = 0
        while True:
            self._news = False  # before the look: what comes from now on is seen in the next one
            while (job := self._queue.take(wait=False)) is not None:
                prompt = job.request.input_ids
                ids = synthetic_cycle(prompt, self._special)
                order += 1
                first = time.monotonic() + self._prefill * len(prompt) / 1000 + self._interval
                heapq.heappush(due, (first, order, job, ids))
            if self._cancels:
                self._cancels = False
                # Each is looked at once: another thread may cancel one meanwhile.
                over = [entry for entry in due if entry[2].cancelled]
                for entry in over:
                    due.remove(entry)
                    self._queue.finish(entry[2], "cancelled")
                heapq.heapify(due)
                continue
            with self._condition:
                if self._stop:
                    return
                wait = due[0][0] - time.monotonic() if due else None
                if self._news or wait is None or wait > 0:
                    if not self._news:
                        self._condition.wait(wait)
                    continue
            at, _, job, ids = heapq.heappop(due)
            try:
                goes_on = self._step(job, ids)
            except Exception as error:  # noqa: BLE001 - the other requests go on
                self._queue.end(job, RequestError(Code.ENGINE_FAILED, f"synthetic: {error!r}"))
                continue
            if goes_on:
                order += 1
                heapq.heappush(due, (at + self._interval, order, job, ids))

    def _step(self, job: Job, ids: list[int]) -> bool:
        """Deliver the tokens of one step; return False when the job ended."""
        limit, check = job.request.sampling.max_tokens, job.request.check
        faults = Faults(wrong_at=self._faults.wrong_at) if check else self._faults
        count = min(job.generated + self._per_step, limit)
        if faults.stall_at and count >= faults.stall_at:
            return True
        if faults.kill_at and count >= faults.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if faults.fail_at and count >= faults.fail_at:
            self._queue.end(
                job, RequestError(Code.ENGINE_FAILED, f"synthetic fault at token {count}")
            )
            return False
        wrong = faults.wrong_at
        job.deliver(
            [ids[(i + (0 < wrong <= i + 1)) % len(ids)] for i in range(job.generated, count)], None
        )
        if job.generated < limit:
            return True
        self._queue.finish(job, "length")
        return False
