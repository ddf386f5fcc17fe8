"""``RequestOutput`` and ``CompletionOutput``: what a request gives back, response by response."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

from tensorrt_llm.sampling_params import SamplingParams


@dataclass(slots=True)
class Logprob:
    """Natural log of a token's probability."""

    logprob: float
    rank: int | None = None


class Response(NamedTuple):
    """What the executor sends: new tokens, and at the end why. ``stopped_by`` is a stop token id,
    None for ``end_id``. ``top`` has the most probable tokens in each place, or nothing."""

    ids: list[int]
    log_probs: list[float]
    finish: str | None = None
    stopped_by: int | None = None
    top: Sequence[list[tuple[int, float]]] = ()

    def entries(self) -> list[dict[int, Logprob]]:
        """One for each token: itself first, then the most probable ones by rank. A token that is
        none of them has a rank behind theirs."""
        made = [{t: Logprob(p, 1)} for t, p in zip(self.ids, self.log_probs, strict=True)]
        for (token, entry), best in zip(zip(self.ids, made, strict=True), self.top, strict=False):
            entry[token].rank = len(best) + 1
            entry |= {t: Logprob(p, rank) for rank, (t, p) in enumerate(best, 1)}
        return made


@dataclass(slots=True)
class CompletionOutput:
    """``token_ids``, ``logprobs`` and ``text`` are cumulative; the ``*_diff`` are of the last
    response."""

    index: int
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    cumulative_logprob: float | None = None
    logprobs: list[dict[int, Logprob]] = field(default_factory=list)
    prompt_logprobs: list[dict[int, Logprob]] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    generation_logits: Any = None
    additional_context_outputs: Any = None
    additional_generation_outputs: Any = None
    disaggregated_params: Any = None
    request_perf_metrics: Any = None
    _last_tokens: int = 0
    _last_text: int = 0

    @property
    def length(self) -> int:
        return len(self.token_ids)

    @property
    def token_ids_diff(self) -> list[int]:
        return self.token_ids[self._last_tokens :]

    @property
    def logprobs_diff(self) -> list[dict[int, Logprob]]:
        return self.logprobs[self._last_tokens :]

    @property
    def text_diff(self) -> str:
        return self.text[self._last_text :]


class RequestOutput:
    """Async-iterable where it was made inside a running event loop; ``result`` otherwise."""

    def __init__(
        self,
        request_id: int,
        prompt: str | None,
        prompt_token_ids: list[int],
        params: SamplingParams,
        *,
        abort: Callable[[], None],
        decode: Callable[[list[int]], str] | None,
        perf_metrics: bool,
    ) -> None:
        self.request_id = request_id
        self.prompt = prompt
        self.prompt_token_ids = prompt_token_ids
        self.outputs = [CompletionOutput(0)]
        self.context_logits = None
        self.disaggregated_params = None
        self.finished = False
        self._params = params
        self._abort = abort
        self._decode = decode if params.detokenize else None
        self._aborted = False
        self._queue: queue.SimpleQueue[Response | Exception] = queue.SimpleQueue()
        self._times = {"arrival": time.monotonic()} if perf_metrics else None
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._aqueue: asyncio.Queue[Response | Exception] = asyncio.Queue()

    def abort(self) -> None:
        self._aborted = True
        self._abort()

    def free(self) -> None:
        """The executor is done with the request."""
        self._abort()

    def aborted(self) -> bool:
        return self._aborted

    def result(self, timeout: float | None = None) -> RequestOutput:
        """Wait for the end. Raises what ended it, or :class:`TimeoutError`."""
        assert self._loop is None, "made inside an event loop: use aresult"
        end = None if timeout is None else time.monotonic() + timeout
        while not self.finished:
            try:
                wait = None if end is None else max(0.0, end - time.monotonic())
                self._take(self._queue.get(timeout=wait))
            except queue.Empty:
                raise TimeoutError("the request did not end in time") from None
        return self

    async def aresult(self) -> RequestOutput:
        while not self.finished:
            await self._step()
        return self

    def __aiter__(self) -> RequestOutput:
        return self

    async def __anext__(self) -> RequestOutput:
        if self.finished:
            raise StopAsyncIteration
        await self._step()
        return self

    async def _step(self) -> None:
        assert self._loop is not None, "made outside an event loop: use result"
        self._take(await self._aqueue.get())

    def put(self, item: Response | Exception) -> None:
        """Called by the executor, from any thread."""
        if self._loop is None:
            self._queue.put(item)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._aqueue.put_nowait, item)

    def _take(self, item: Response | Exception) -> None:
        if isinstance(item, Exception):
            self.finished = True
            raise item
        output = self.outputs[0]
        output._last_tokens, output._last_text = len(output.token_ids), len(output.text)
        output.token_ids = output.token_ids + item.ids
        if self._params.logprobs is not None:
            output.logprobs = output.logprobs + item.entries()
            output.cumulative_logprob = (output.cumulative_logprob or 0.0) + sum(item.log_probs)
        if item.finish is not None:
            self._end(output, item)
        if self._decode is not None:
            output.text = self._decode(output.token_ids)

    def _end(self, output: CompletionOutput, item: Response) -> None:
        self.finished = True
        output.finish_reason = item.finish
        if item.finish == "stop" and item.stopped_by is not None:
            output.stop_reason = item.stopped_by
            if not self._params.include_stop_str_in_output:
                output.token_ids = output.token_ids[:-1]
                output.logprobs = output.logprobs[: len(output.token_ids)]
        if self._times is not None:
            output.request_perf_metrics = SimpleNamespace(**self._times, last=time.monotonic())
