"""An engine with continuous batching that does each step by itself, and says what it took.

Written from what llama.cpp and TensorRT-LLM do, not from the simulation that is compared with it:
requests wait in the runtime's own queue, a step is one turn of a loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gemma4_runtime.engines.base import EngineInfo, EngineStats, TokenSink
from gemma4_runtime.engines.queue import Job, RequestQueue
from gemma4_runtime.messages import GenerationRequest

__all__ = ["SteppedEngine"]


class _Running:
    """``read`` are tokens of its prompt that are in the KV cache."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.prompt = len(job.request.input_ids)
        self.read = 0


class SteppedEngine:
    """``seconds`` of a step with so many answers and so many tokens of prompts. A step has a token
    of each answer and at most ``step_tokens`` in all; prompts are read in the order they came."""

    def __init__(
        self, seconds: Callable[[int, int], float], *, slots: int, step_tokens: int
    ) -> None:
        self._seconds = seconds
        self._step_tokens = step_tokens
        info = EngineInfo("stepped", "1", "none", slots, 10_000, 1 << 20, 100)
        self._came = asyncio.Event()
        self._queue = RequestQueue(info, on_submit=self._came.set)
        self._running: list[_Running] = []
        self._task = asyncio.ensure_future(self._run())

    def submit(self, request: GenerationRequest, sink: TokenSink) -> None:
        self._queue.submit(request, sink)

    def stats(self) -> EngineStats:
        return self._queue.stats()

    def close(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            while (job := self._queue.take(wait=False)) is not None:
                self._running.append(_Running(job))
            if not self._running:
                self._came.clear()
                await self._came.wait()
                continue
            await self._step()

    async def _step(self) -> None:
        answering = [one for one in self._running if one.read == one.prompt]
        room, reading = self._step_tokens - len(answering), 0
        for one in self._running:
            if one.read < one.prompt:
                part = min(one.prompt - one.read, room - reading)
                one.read += part
                reading += part
        await asyncio.sleep(self._seconds(len(answering), reading))
        for one in [one for one in self._running if one.read == one.prompt]:
            one.job.deliver([7], None)
            if one.job.generated == one.job.request.sampling.max_tokens:
                self._running.remove(one)
                self._queue.finish(one.job, "length")
