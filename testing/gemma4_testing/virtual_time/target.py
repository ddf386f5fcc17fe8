"""A server of ``gemma4 load`` that is an engine in this process, behind a host of a known pace."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any, Protocol

from gemma4_load.errors import TargetError
from gemma4_load.targets.base import Seen
from gemma4_load.workloads.base import Ask, Reply
from gemma4_load.workloads.words import Words
from gemma4_runtime.engines.base import EngineFinish, TokenSink
from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import GenerationRequest, SamplingParams

__all__ = ["EngineTarget"]


class _Submits(Protocol):
    def submit(self, request: GenerationRequest, sink: TokenSink) -> None: ...


class _Sink:
    """Passes on what the engine says, from whatever thread, to the event loop."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[EngineFinish] = self._loop.create_future()
        self.tokens_seen = 0

    def tokens(self, ids: Sequence[int], *_: object) -> None:
        self.tokens_seen += len(ids)
        self._loop.call_soon_threadsafe(self._seen, len(ids))

    def finished(self, finish: EngineFinish) -> None:
        self._loop.call_soon_threadsafe(self.over.set_result, finish)

    def failed(self, error: RequestError) -> None:
        failure = TargetError(error.status, str(error))
        self._loop.call_soon_threadsafe(self.over.set_exception, failure)


class EngineTarget:
    """Every request takes ``host_s`` seconds before the engine gets it. A word is a token."""

    url = "in this process"

    def __init__(self, engine: _Submits, host_s: float) -> None:
        self._engine = engine
        self._host = host_s
        self._numbers = count()

    async def ask(self, ask: Ask, seen: Seen) -> Reply:
        prompt = len(ask.messages[0]["content"].split())
        await asyncio.sleep(self._host)
        sink = _Sink(seen)
        request = GenerationRequest(
            key=str(next(self._numbers)), input_ids=[7] * prompt,
            sampling=SamplingParams(max_tokens=ask.options["max_tokens"]),
        )  # fmt: skip
        self._engine.submit(request, sink)
        finish = await sink.over
        return Reply(
            prompt_tokens=prompt, output_tokens=sink.tokens_seen, finish_reason=finish.reason,
            timings={
                "queue": finish.queue_s, "prefill": finish.prefill_s, "decode": finish.decode_s,
            },
        )  # fmt: skip

    async def ready(self) -> bool:
        return True

    async def words(self) -> Words:
        return Words()

    async def describe(self) -> dict[str, Any]:
        return {}

    async def close(self) -> None:
        return None
