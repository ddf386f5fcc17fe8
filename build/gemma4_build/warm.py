"""Start-up work of an engine done once, and measured: every batch size, time to the first token,
tokens/s. On TensorRT-LLM this fills the caches that later starts use."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from gemma4_runtime.engines.base import Engine, EngineFinish
from gemma4_runtime.errors import RequestError
from gemma4_runtime.manifest import Manifest, WarmUp
from gemma4_runtime.messages import GenerationRequest, SamplingParams, TopLogProbs
from gemma4_runtime.needs import install_extra
from gemma4_runtime.trtllm.gpu_sets import first_gpu_name

from gemma4_build.errors import WarmUpError
from gemma4_build.manifest import write_manifest
from gemma4_build.progress import Reporter

__all__ = ["batch_sizes", "warm_engine", "warm_up"]

_PROMPT_TOKENS = 128
"""Tokens of a prompt, half of what a request may have where that is less."""
_ANSWER_TOKENS = 64
"""Tokens of an answer, fewer where a request may not have so many."""
_WAIT_S = 1800.0
"""The first batch of a fresh machine compiles kernels for minutes."""


_FIRST_ID = 600
"""Above the special and byte tokens, below the vocabulary's end by more than a prompt."""


def warm_engine(folder: Path, manifest: Manifest, reporter: Reporter) -> Manifest:
    """Start the engine as the server would, warm it up, and write what was measured into the
    manifest. Raises :class:`WarmUpError`; the folder stays as it was."""
    try:
        from gemma4_runtime.engines.factory import create_engine
        from gemma4_runtime.output.vocab import load_token_table
        from gemma4_runtime.settings import ENGINE_DIR, load_settings
    except ModuleNotFoundError as error:
        raise WarmUpError(
            f"--warm: {error.name} is not installed: {install_extra('runtime')}"
        ) from None
    limits = manifest.limits
    reporter.say("Warming up: loading the engine")
    try:
        settings = load_settings({**os.environ, ENGINE_DIR: str(folder)})
        engine = create_engine(
            folder, manifest, load_token_table(folder / "tokenizer.json"), settings
        )
    except (RuntimeError, ValueError) as error:
        raise WarmUpError(
            f"--warm: the engine is built, but does not start here: {error}"
        ) from None
    try:
        sizes = batch_sizes(engine.info.slots)
        reporter.say(f"Warming up: batches of {', '.join(map(str, sizes))}")
        warm = warm_up(
            engine,
            sizes=sizes,
            first_id=_FIRST_ID,
            gpu=first_gpu_name(None),
            max_total_tokens=limits.max_total_tokens,
        )
    finally:
        engine.close()
    new = manifest.model_copy(update={"warm": warm})
    write_manifest(folder, new)
    return new


def batch_sizes(slots: int) -> list[int]:
    """Return 1, 2, 4, 8, ... and ``slots``: with padding on, a CUDA graph serves every size up to
    its own, so these reach all of them up to a factor of two."""
    sizes = [1 << i for i in range(slots.bit_length()) if 1 << i <= slots]
    return sizes if sizes[-1] == slots else [*sizes, slots]


def warm_up(
    engine: Engine, *, sizes: Sequence[int], first_id: int, gpu: str, max_total_tokens: int
) -> WarmUp:
    """Run a batch of every size twice and time the second. ``first_id``: an ordinary token id from
    which prompts without a common beginning are made. Raises :class:`WarmUpError`."""
    started = time.monotonic()
    prompt = min(_PROMPT_TOKENS, max_total_tokens // 2)
    answer = min(_ANSWER_TOKENS, max_total_tokens - prompt)
    ttft, rates = 0.0, {}
    for size in sizes:
        for timed in (False, True):
            answers = [_Timed() for _ in range(size)]
            began = time.monotonic()
            for index, sink in enumerate(answers):
                _submit(engine, sink, first_id + index * 7 + timed, prompt, answer)
            for sink in answers:
                sink.wait(_WAIT_S)
            spent = time.monotonic() - began
        rates[size] = sum(sink.count for sink in answers) / spent
        if size == 1:
            ttft = answers[0].first - began
    return WarmUp(
        gpu=gpu,
        seconds=time.monotonic() - started,
        prompt_tokens=prompt,
        answer_tokens=answer,
        ttft_s=ttft,
        tokens_per_s=rates,
    )


def _submit(engine: Engine, sink: _Timed, first_id: int, prompt: int, answer: int) -> None:
    request = GenerationRequest(
        key=f"warm-{id(sink)}",
        input_ids=[2, *(first_id + i for i in range(prompt - 1))],
        sampling=SamplingParams(max_tokens=answer, min_tokens=answer, temperature=0.0),
    )
    try:
        engine.submit(request, sink)
    except RequestError as error:
        raise WarmUpError(f"the engine refused a request of the warm-up: {error.message}") from None


class _Timed:
    """A token sink that counts."""

    def __init__(self) -> None:
        self.count = 0
        self.first = 0.0
        self._error = ""
        self._over = Event()

    def tokens(
        self,
        ids: Sequence[int],
        log_probs: Sequence[float] | None,
        top: Sequence[TopLogProbs] | None = None,
    ) -> None:
        self.first = self.first or time.monotonic()
        self.count += len(ids)

    def finished(self, finish: EngineFinish) -> None:
        self._over.set()

    def failed(self, error: RequestError) -> None:
        self._error = error.message
        self._over.set()

    def wait(self, timeout: float) -> None:
        if not self._over.wait(timeout):
            raise WarmUpError(f"no answer within {timeout:.0f} s")
        if self._error:
            raise WarmUpError(f"the engine failed: {self._error}")
