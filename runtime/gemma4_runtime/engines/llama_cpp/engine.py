"""llama.cpp in this process, through the xllamacpp wheel: continuous batching on CPU.

One thread for each slot hands a request to llama.cpp's server and reads its events; requests
beyond the slots wait in our own queue, where they can be cancelled at once. A crash of llama.cpp
ends the process; ``gemma4 serve`` notices and restarts the server.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import xllamacpp

from gemma4_runtime.capabilities import CAPABILITIES, refuse_conflicts
from gemma4_runtime.engines.base import LEAST_LOG_PROB, EngineInfo, EngineStats, TokenSink
from gemma4_runtime.engines.llama_cpp.guides import LlamaGuides
from gemma4_runtime.engines.llama_cpp.loading import load_measured
from gemma4_runtime.engines.llama_cpp.payload import payload
from gemma4_runtime.engines.llama_cpp.penalties import Penalties
from gemma4_runtime.engines.queue import Job, RequestQueue
from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.guides.grammar import guide_grammar
from gemma4_runtime.guides.prelude import markers
from gemma4_runtime.guides.turn_grammar import TurnTokens, turn_grammar
from gemma4_runtime.manifest import LlamaCppOptions
from gemma4_runtime.messages import GenerationRequest, SamplingParams, TopLogProbs
from gemma4_runtime.output.vocab import TokenTable

__all__ = ["LlamaCppEngine"]

_CHUNK_INTERVAL_S = 0.02
"""What sends a chunk takes its time from the cores that compute."""


class LlamaCppEngine:
    """Raises :class:`RuntimeError` when the model does not load. Sizes are tokens. ``cache_mib`` is
    MiB for prompts that no slot holds (:func:`~.prompt_cache.prompt_cache_mib`)."""

    def __init__(
        self,
        model: Path,
        *,
        precision: str,
        slots: int,
        max_queued: int,
        max_total_tokens: int,
        vocab_size: int,
        table: TokenTable,
        options: LlamaCppOptions,
        threads: int | None = None,
        cache_mib: int = 0,
    ) -> None:
        info = EngineInfo(
            runtime="llama_cpp",
            version=xllamacpp.__version__,
            precision=precision,
            slots=slots,
            max_queued=max_queued,
            max_total_tokens=max_total_tokens,
            vocab_size=vocab_size,
            chunk_interval_s=_CHUNK_INTERVAL_S,
        )
        self._queue = RequestQueue(info)
        self._control = table.control
        self._turn_tokens = TurnTokens.of(table)
        self._server = load_measured(model, info, options, threads, cache_mib=cache_mib)
        self._guides = LlamaGuides(table, self._server)
        self._threads = [
            Thread(target=self._work, name=f"slot-{i}", daemon=True) for i in range(slots)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def info(self) -> EngineInfo:
        return self._queue.info

    def submit(self, request: GenerationRequest, sink: TokenSink) -> None:
        if request.sampling.bad_sequences:
            raise invalid(
                Code.OPTION_UNSUPPORTED, "bad_words", "llama.cpp can ban single tokens only"
            )
        refuse_conflicts(request.sampling, CAPABILITIES["llama_cpp"])
        self._queue.submit(request, sink)

    def cancel(self, key: str) -> None:
        self._queue.cancel(key)

    def stats(self) -> EngineStats:
        return self._queue.stats()

    def drain(self) -> None:
        self._queue.drain()

    def close(self) -> None:
        self._queue.close()
        for thread in self._threads:
            thread.join()
        del self._server

    def _work(self) -> None:
        while (job := self._queue.take(wait=True)) is not None:
            try:
                reason = self._run(job)
            except RequestError as error:
                self._queue.end(job, error)
            except Exception as error:  # noqa: BLE001 - one error, whatever broke
                self._queue.end(job, RequestError(Code.ENGINE_FAILED, f"llama.cpp: {error}"))
            else:
                self._queue.finish(job, reason)

    def _run(self, job: Job) -> str:
        """Generate; returns why it ended. llama.cpp knows no ``min_tokens``: the first that many
        are drawn with every stop id banned, the rest in another call, which finds all of it in
        the prompt cache."""
        sampling = job.request.sampling
        answer: list[int] = []
        penalties = self._penalties(job.request)
        if sampling.min_tokens:
            self._generate(job, answer, penalties, sampling.min_tokens, sampling.stop_token_ids)
            if job.cancelled or len(answer) >= sampling.max_tokens:
                return "length"
        return self._generate(job, answer, penalties, sampling.max_tokens, ())

    def _penalties(self, request: GenerationRequest) -> Penalties:
        return Penalties(request.sampling, request.input_ids)

    def _generate(
        self,
        job: Job,
        answer: list[int],
        penalties: Penalties,
        most: int,
        banned: tuple[int, ...],
    ) -> str:
        """Generate until ``answer`` has ``most`` tokens, in as many calls as the penalties need."""
        grammar, unguided = self._guide(job.request.sampling)
        while not job.cancelled:
            body = payload(
                job.request,
                answer=answer,
                max_tokens=most - len(answer),
                banned=(*banned, *unguided),
                bias=penalties.bias(answer),
                grammar=grammar,
                window=self.info.max_total_tokens,
                check_slot=self.info.slots - 1,
            )
            reader = _EventReader(job, answer, turns=penalties.turns(answer))
            try:
                self._server.handle_completions(orjson.dumps(body), reader)
            except ValueError as error:
                raise _refusal(job.request, str(error)) from None
            if reader.error is not None:
                raise reader.error
            if not reader.turned:
                return reader.reason
            if len(answer) >= most:
                return "length"
        return "cancelled"

    def _guide(self, sampling: SamplingParams) -> tuple[str | None, Iterable[int]]:
        """Return the grammar of the answer, and the ids that may not be drawn under it."""
        if sampling.guided is None:
            return None, ()
        grammar = guide_grammar(sampling.guided)
        if sampling.prelude is not None:
            grammar = turn_grammar(grammar, sampling.prelude, self._turn_tokens)
        self._guides.check(grammar)
        return grammar, set(self._guides.banned) - markers(sampling.prelude, self._control)


class _EventReader:
    """The callback of one call: bytes of one event in, True to end it. ``answer`` takes the ids.
    A token of ``turns`` is the last that is taken; llama.cpp may have gone on meanwhile."""

    def __init__(self, job: Job, answer: list[int], *, turns: frozenset[int]) -> None:
        self._job = job
        self._answer = answer
        self._before = len(answer)
        self._turns = turns
        self.turned = False
        self.reason = "cancelled"
        self.error: RequestError | None = None

    def __call__(self, data: bytes) -> bool:
        try:
            if not self.turned:
                self._read(orjson.loads(data))
        except Exception as error:  # noqa: BLE001 - xllamacpp swallows what a callback raises
            self.error = RequestError(
                Code.ENGINE_FAILED, f"an event of llama.cpp cannot be read: {error!r}"
            )
        return self._job.cancelled or self.turned or self.error is not None

    def _read(self, event: dict[str, Any]) -> None:
        if "choices" not in event:
            problem = event.get("error", event)
            message = problem.get("message", "") if isinstance(problem, dict) else str(problem)
            self.error = _refusal(self._job.request, str(message or problem))
            return
        if "prompt_progress" in event:
            if not self._before:
                self._job.cached = event["prompt_progress"]["cache"]
            return
        choice, details = event["choices"][0], event["__verbose"]
        ids = details["tokens"]
        if ids:
            seen = len(self._answer) - self._before + len(ids)
            if details["tokens_predicted"] != seen:
                self.error = RequestError(
                    Code.ENGINE_FAILED,
                    f"llama.cpp withheld a token id: {details['tokens_predicted']} sampled, "
                    f"{seen} seen; rebuild the engine folder",
                )
                return
            self._take(ids, choice)
        if choice["finish_reason"] is not None:
            self.reason = choice["finish_reason"]

    def _take(self, ids: list[int], choice: dict[str, Any]) -> None:
        turn = next((i for i, token in enumerate(ids) if token in self._turns), None)
        if turn is not None:
            self.turned = True
            ids = ids[: turn + 1]
        self._answer += ids
        sampling = self._job.request.sampling
        if not sampling.log_probs:
            self._job.deliver(ids, None)
            return
        entries = choice["logprobs"]["content"][: len(ids)]
        log_probs = [entry["logprob"] for entry in entries]
        most = sampling.top_log_probs
        self._job.deliver(ids, log_probs, [_top(e, most) for e in entries] if most else None)


def _top(entry: dict[str, Any], most: int) -> TopLogProbs:
    best = entry["top_logprobs"][:most]
    return [(other["id"], max(other["logprob"], LEAST_LOG_PROB)) for other in best]


def _refusal(request: GenerationRequest, message: str) -> RequestError:
    """Return the error of a request that llama.cpp refused: before it starts it does so only for
    its grammar or its length."""
    if request.sampling.guided is not None:
        return invalid(
            Code.GUIDE_UNSUPPORTED, "guided_decoding_guide", f"the runtime cannot use it: {message}"
        )
    return RequestError(Code.ENGINE_FAILED, f"llama.cpp refused the request: {message}")
