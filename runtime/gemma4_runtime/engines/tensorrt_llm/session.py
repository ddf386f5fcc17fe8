"""One loaded LLM on one event loop: requests in, events out.

TensorRT-LLM batches the requests itself (in-flight batching); here each is one task that reads
deltas. All of it runs in the loop's thread: a ``RequestOutput`` can be iterated only by the loop
that it was made in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from gemma4_runtime.engines.base import LEAST_LOG_PROB
from gemma4_runtime.engines.tensorrt_llm.iteration_stats import IterationStats
from gemma4_runtime.engines.tensorrt_llm.sampling import guide_arguments, sampling_arguments
from gemma4_runtime.engines.tensorrt_llm.wire import (
    Event,
    Failed,
    Finished,
    Lost,
    Submit,
    Tokens,
)
from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.logs.events import log_event
from gemma4_runtime.messages import SamplingParams, TopLogProbs

__all__ = ["Session"]

_HEALTH_S = 1.0
"""Seconds between two questions whether the executor lives."""
_STATS_S = 0.5
"""Seconds between two readings of the iteration statistics: often enough for a gauge."""
_STATS_WAIT_S = 0.1
"""Seconds to wait for statistics; those that come later are read next time."""
_HEALTH_FAILURES = 3
"""Questions in a row that fail before the engine counts as lost."""


class EngineLostError(Exception):
    """TensorRT-LLM cannot serve any more."""


class _Request:
    def __init__(self, cache_salt: str | None = None) -> None:
        self.cache_salt = cache_salt
        self.cancelled = False
        self.output: Any = None

    def abort(self) -> None:
        self.cancelled = True
        if self.output is not None and not self.output.finished:
            self.output.abort()


class Session:
    """``api`` is the module tensorrt_llm, ``send`` takes events in order."""

    def __init__(
        self, llm: Any, api: Any, *, pad_id: int, vocab_size: int, send: Callable[[Event], None]
    ) -> None:
        self._llm = llm
        self._api = api
        self._pad_id = pad_id
        self._vocab_size = vocab_size
        self._send = send
        self._requests: dict[str, _Request] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.lost = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._watches = [loop.create_task(w()) for w in (self._watch_health, self._watch_stats)]

    def submit(self, command: Submit) -> None:
        """Start a request; its events follow, a Finished or Failed last."""
        request = _Request(command.cache_salt)
        self._requests[command.key] = request
        task = asyncio.get_running_loop().create_task(self._run(command, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, key: str) -> None:
        request = self._requests.get(key)
        if request is not None:
            request.abort()

    async def close(self, timeout: float) -> None:
        """Abort everything and wait until it ended, or for ``timeout`` seconds."""
        for watch in self._watches:
            watch.cancel()
        for request in list(self._requests.values()):
            request.abort()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)

    async def _run(self, command: Submit, request: _Request) -> None:
        try:
            reason = await self._generate(command, request)
            self._end(command.key, Finished(command.key, reason))
        except EngineLostError as error:
            self._lose(str(error))
        except RequestError as error:
            self._end(command.key, Failed.of(command.key, error))
        except Exception as error:  # noqa: BLE001 - one error, whatever broke
            broken = RequestError(Code.ENGINE_FAILED, f"worker: {error!r}")
            self._end(command.key, Failed.of(command.key, broken))

    def _end(self, key: str, event: Finished | Failed) -> None:
        if self._requests.pop(key, None) is not None:
            self._send(event)

    async def _generate(self, command: Submit, request: _Request) -> str:
        """See :mod:`.sampling` for the two parts of a request with ``min_tokens``."""
        sampling, prompt = command.sampling, command.input_ids
        least, size = sampling.min_tokens, len(prompt)
        if least:
            first: list[int] = []
            arguments = sampling_arguments(
                sampling,
                prompt_tokens=size,
                max_tokens=least,
                pad_id=self._pad_id,
                banned=sampling.stop_token_ids,
            )
            reason = await self._stream(command.key, prompt, arguments, sampling, request, first)
            if reason != "length" or len(first) < least or least == sampling.max_tokens:
                return reason
            prompt = prompt + first
        arguments = sampling_arguments(
            sampling,
            prompt_tokens=size,
            max_tokens=sampling.max_tokens - least,
            pad_id=self._pad_id,
            answered=least,
        )
        return await self._stream(command.key, prompt, arguments, sampling, request, [])

    async def _stream(
        self,
        key: str,
        prompt: list[int],
        arguments: dict[str, Any],
        sampling: SamplingParams,
        request: _Request,
        produced: list[int],
    ) -> str:
        if request.cancelled:
            return "cancelled"
        try:
            if sampling.guided is not None:
                guide = self._api.llmapi.GuidedDecodingParams(
                    **guide_arguments(sampling.guided, sampling.prelude)
                )
                arguments = arguments | {"guided_decoding": guide}
            if sampling.logit_bias:
                bias = _embedding_bias(sampling.logit_bias, self._vocab_size)
                arguments = arguments | {"embedding_bias": bias}
            request.output = output = self._llm.generate_async(
                {"prompt_token_ids": prompt},
                sampling_params=self._api.SamplingParams(**arguments),
                streaming=True,
                cache_salt=request.cache_salt,
            )
            async for response in output:
                part = response.outputs[0]
                ids = list(part.token_ids_diff)
                if ids:
                    produced += ids
                    self._send(Tokens(key, ids, *_log_probs(part, ids, sampling)))
        except RequestError:
            raise
        except Exception as error:
            raise _meaning(error, sampling, started=bool(produced)) from error
        if request.cancelled or part.finish_reason == "cancelled":
            return "cancelled"
        if part.finish_reason not in ("stop", "length"):
            raise RequestError(
                Code.ENGINE_FAILED, f"TensorRT-LLM ended the request with {part.finish_reason!r}"
            )
        return str(part.finish_reason)

    async def _watch_health(self) -> None:
        """Ask whether the executor lives. A dead one may leave streams waiting forever;
        TensorRT-LLM's own server polls the same method (pull requests 12718 and 16338 of
        NVIDIA/TensorRT-LLM). A question that fails is logged and asked again; the engine whose
        state nobody can tell is lost."""
        check = getattr(self._llm, "_check_health", None)
        failures = 0
        while check is not None:
            await asyncio.sleep(_HEALTH_S)
            try:
                healthy = check()
            except Exception as error:  # noqa: BLE001 - logged, and bounded
                failures += 1
                log_event("health_check_broke", level="error", cause=repr(error), in_a_row=failures)
                if failures < _HEALTH_FAILURES:
                    continue
                self._lose(f"TensorRT-LLM's health cannot be told: {error!r}")
                return
            failures = 0
            if not healthy:
                self._lose("TensorRT-LLM reports that its executor is dead")
                return

    async def _watch_stats(self) -> None:
        """Pass on how full the KV cache is, and what became of drafts. Figures that do not come are
        no reason to stop serving: that is logged once, and asked again.

        They are asked for in a thread: ``get_stats_async`` waits for them inside of the event loop,
        which would hold up every stream for up to its timeout."""
        read, failing = IterationStats(), False
        while True:
            await asyncio.sleep(_STATS_S)
            try:
                rows = await asyncio.to_thread(self._llm.get_stats, _STATS_WAIT_S)
                changed = read.take(rows)
            except Exception as error:  # noqa: BLE001 - see above
                if not failing:
                    log_event("no_iteration_stats", level="warning", cause=repr(error))
                failing = True
                continue
            failing = False
            for event in changed:
                self._send(event)

    def _lose(self, cause: str) -> None:
        if not self.lost.is_set():
            self.lost.set()
            self._send(Lost(cause))


def _embedding_bias(pairs: tuple[tuple[int, float], ...], vocab_size: int) -> Any:
    """Return a tensor of torch, which is there because TensorRT-LLM needs it: float32, shape
    [vocab_size]."""
    torch: Any = import_module("torch")
    bias = torch.zeros(vocab_size, dtype=torch.float32)
    for token, amount in pairs:
        bias[token] = amount
    return bias


def _log_probs(
    part: Any, ids: list[int], sampling: SamplingParams
) -> tuple[list[float] | None, list[TopLogProbs] | None]:
    """Return one natural log per id, and the most probable tokens in its place. TensorRT-LLM gives
    {id: Logprob} or plain numbers; the sampled token is there too when it is none of the most
    probable ones, with a rank behind theirs."""
    if not sampling.log_probs:
        return None, None
    entries = list(part.logprobs_diff or ())
    if len(entries) != len(ids):
        raise RequestError(
            Code.ENGINE_FAILED,
            f"TensorRT-LLM gave {len(entries)} log-probabilities for {len(ids)} tokens; "
            "ask without return_log_probs",
        )
    if sampling.top_log_probs and not all(isinstance(entry, dict) for entry in entries):
        raise RequestError(
            Code.ENGINE_FAILED,
            "TensorRT-LLM gave the log-probability of the sampled token only; ask without "
            "top_logprobs",
        )
    chosen = [
        float(entry[token].logprob) if isinstance(entry, dict) else float(entry)
        for token, entry in zip(ids, entries, strict=True)
    ]
    most = sampling.top_log_probs
    return chosen, [_best(entry, most) for entry in entries] if most else None


def _best(entry: Mapping[int, Any], most: int) -> TopLogProbs:
    ranked = sorted(entry.items(), key=lambda item: item[1].rank)
    return [(token, max(float(found.logprob), LEAST_LOG_PROB)) for token, found in ranked[:most]]


def _meaning(error: Exception, sampling: SamplingParams, *, started: bool) -> Exception:
    """Return what an exception means. TensorRT-LLM raises ValueError and TypeError for arguments
    and RequestError for one request; everything else means that the engine is gone."""
    own = isinstance(error, ValueError | TypeError) or any(
        base.__name__ == "RequestError" for base in type(error).__mro__
    )
    if not own:
        return EngineLostError(f"{type(error).__name__}: {error}")
    if sampling.guided is not None and not started:
        return invalid(
            Code.GUIDE_UNSUPPORTED, "guided_decoding_guide", f"the runtime cannot use it: {error}"
        )
    return RequestError(Code.ENGINE_FAILED, f"TensorRT-LLM refused the request: {error}")
