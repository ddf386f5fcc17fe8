"""What to build, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.manifest import ManifestLimits, SyntheticPace

from gemma4_build.errors import BadOptionError
from gemma4_build.gpu_options import NO_GPU_OPTIONS, GpuOptions
from gemma4_build.model_spec import ModelSpec
from gemma4_build.precision import PRECISIONS

__all__ = ["BUILD_RUNTIMES", "BuildRequest", "prefill_batch", "resolve_limits", "synthetic_pace"]

BUILD_RUNTIMES = ("llama_cpp", "tensorrt_llm", "synthetic")
_DEFAULT_TOTAL = 8192
"""Tokens of a request, prompt and answer, unless set; the model's context where it is less."""
_BATCH_MULTIPLICATIONS = 30_000_000_000
"""What two cores do in half a second: 26B-A4B (3.1e9 a token) took 28.8 tokens/s on two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """Options of one build. ``None`` limits take their default from the model.

    ``literal_bytes``: see :class:`gemma4_build.vocabulary.Vocabulary`. The two paces are
    the synthetic runtime's, ``trtllm`` is TensorRT-LLM's. Raises :class:`BadOptionError` when made
    with values that cannot work.
    """

    checkpoint: Path
    out: Path
    runtime: str = "llama_cpp"
    precision: str = "int8"
    slots: int = 4
    max_queued: int = 64
    max_total_tokens: int | None = None
    max_prompt_tokens: int | None = None
    prefill_batch: int | None = None
    force: bool = False
    skip_verify: bool = False
    literal_bytes: bool = True
    prefill_tokens_per_s: float | None = None
    decode_tokens_per_s: float | None = None
    tokens_per_step: int | None = None
    threads: int | None = None
    trtllm: GpuOptions = NO_GPU_OPTIONS

    def __post_init__(self) -> None:
        _one_of("--runtime", self.runtime, BUILD_RUNTIMES)
        if self.runtime == "tensorrt_llm":
            self._check_tensorrt_llm()
        else:
            _one_of("--precision", self.precision, tuple(PRECISIONS))
            if self.trtllm != NO_GPU_OPTIONS:
                raise BadOptionError(
                    "--tp, --ep, --gpu, --preset, --quantize, --pad-experts, --calibration*, "
                    "--device, --reference, --assistant and --warm are for "
                    "--runtime tensorrt_llm only"
                )
        _least("--slots", self.slots, 1)
        _least("--max-queued", self.max_queued, 0)
        _least("--max-total-tokens", self.max_total_tokens, 2)
        _least("--max-prompt-tokens", self.max_prompt_tokens, 1)
        _least("--prefill-batch", self.prefill_batch, 1)
        _least("--threads", self.threads, 1)
        for option, pace in (
            ("--prefill-tokens-per-s", self.prefill_tokens_per_s),
            ("--decode-tokens-per-s", self.decode_tokens_per_s),
        ):
            if pace is not None and self.runtime != "synthetic":
                raise BadOptionError(f"{option}: is for --runtime synthetic only")
            if pace is not None and not 0 < pace < float("inf"):
                raise BadOptionError(f"{option} {pace}: must be above 0")
        if self.tokens_per_step is not None and self.runtime != "synthetic":
            raise BadOptionError("--tokens-per-step: is for --runtime synthetic only")
        _least("--tokens-per-step", self.tokens_per_step, 1)
        checkpoint, out = self.checkpoint.resolve(), self.out.resolve()
        if out == checkpoint or out in checkpoint.parents or checkpoint in out.parents:
            raise BadOptionError(f"--out {self.out}: must lie apart from the checkpoint")

    def _check_tensorrt_llm(self) -> None:
        if self.prefill_batch is not None:
            raise BadOptionError("--prefill-batch: is for --runtime llama_cpp only")
        if not self.literal_bytes:
            raise BadOptionError("--byte-tokens: is for --runtime llama_cpp only")
        self.trtllm.check(self.precision)
        if self.precision == "bf16" and self.threads is not None:
            raise BadOptionError("--threads: --precision bf16 computes nothing; leave it out")


def synthetic_pace(request: BuildRequest) -> SyntheticPace:
    """Return the pace with defaults filled in."""
    return SyntheticPace(
        prefill_tokens_per_s=request.prefill_tokens_per_s or 20_000.0,
        decode_tokens_per_s=request.decode_tokens_per_s or 200.0,
        tokens_per_step=request.tokens_per_step or 1,
    )


def prefill_batch(request: BuildRequest, spec: ModelSpec) -> int:
    """Return the prompt tokens that are computed at a time: a power of two from 8 to 512 that two
    CPU cores finish in about half a second, since a cancel, and every other stream, waits for
    it."""
    if request.prefill_batch:
        return request.prefill_batch
    fitting = max(1, _BATCH_MULTIPLICATIONS // spec.active_parameters)
    return max(8, min(512, 1 << (fitting.bit_length() - 1)))


def resolve_limits(request: BuildRequest, spec: ModelSpec) -> ManifestLimits:
    """Return the limits with defaults filled in. Raises :class:`BadOptionError`."""
    total = request.max_total_tokens or min(_DEFAULT_TOTAL, spec.context)
    if total > spec.context:
        raise BadOptionError(
            f"--max-total-tokens {total}: the model's context is {spec.context} tokens"
        )
    prompt = request.max_prompt_tokens or total - 1
    if prompt >= total:
        raise BadOptionError(
            f"--max-prompt-tokens {prompt}: must be below --max-total-tokens {total}, "
            "to leave room for an answer"
        )
    return ManifestLimits(
        max_total_tokens=total,
        max_prompt_tokens=prompt,
        slots=request.slots,
        max_queued=request.max_queued,
    )


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadOptionError(f"{option} {value}: known are {', '.join(known)}")


def _least(option: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise BadOptionError(f"{option} {value}: must be at least {least}")
