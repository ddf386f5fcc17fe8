"""What to build, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.manifest import MOST_QUEUED, MOST_SLOTS, ManifestLimits, SyntheticPace

from gemma4_build.errors import BadOptionError
from gemma4_build.gpu_options import NO_GPU_OPTIONS, GpuOptions
from gemma4_build.model_spec import ModelSpec
from gemma4_build.option_range import check_range
from gemma4_build.precision import PRECISIONS

__all__ = [
    "AS_PUBLISHED", "BUILD_RUNTIMES", "BuildRequest", "is_gguf", "prefill_batch", "resolve_limits",
    "synthetic_pace",
]  # fmt: skip

BUILD_RUNTIMES = ("llama_cpp", "tensorrt_llm", "synthetic")
AS_PUBLISHED = "gguf"
"""The precision of an engine whose weights are those of a GGUF file."""
_DEFAULT_TOTAL = 8192
"""Tokens of a request, prompt and answer, unless set; the model's context where it is less."""
_BATCH_MULTIPLICATIONS = 30_000_000_000
"""What two cores do in half a second: 26B-A4B (3.1e9 a token) took 28.8 tokens/s on two."""
_MOST_BATCH = 65_536
"""Tokens that are computed, or given, at once: beyond what a processor gains from."""
_MOST_PACE = 1_000_000_000
"""Tokens/s of the synthetic runtime: one in a nanosecond."""
_MOST_THREADS = 4096
"""Threads that convert: beyond the processors of any machine."""


_GET_TOKENIZER = (
    "a GGUF file does not say all of the tokenizer, so give the folder with the other files of the "
    "model: `hf download google/gemma-4-26B-A4B-it --exclude '*.safetensors' --local-dir FOLDER` "
    "(33 MB)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """Options of one build. ``None`` limits take their default from the model.

    ``checkpoint`` is a folder, or a GGUF file, for which ``tokenizer`` is the folder of the model's
    other files and ``precision`` :data:`AS_PUBLISHED`. ``literal_bytes``: see
    :class:`gemma4_build.vocabulary.Vocabulary`. The two paces are the synthetic runtime's,
    ``trtllm`` is TensorRT-LLM's. Raises :class:`BadOptionError` when made with values that cannot
    work.
    """

    checkpoint: Path
    out: Path
    tokenizer: Path | None = None
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
        self._check_source()
        if self.runtime == "tensorrt_llm":
            self._check_tensorrt_llm()
        else:
            if not is_gguf(self.checkpoint):
                _one_of("--precision", self.precision, tuple(PRECISIONS))
            if self.trtllm != NO_GPU_OPTIONS:
                raise BadOptionError(
                    "--tp, --ep, --gpu, --preset, --quantize, --pad-experts, --calibration*, "
                    "--device, --reference, --assistant and --warm are for "
                    "--runtime tensorrt_llm only"
                )
        check_range("--slots", self.slots, 1, MOST_SLOTS)
        check_range("--max-queued", self.max_queued, 0, MOST_QUEUED)
        check_range("--max-total-tokens", self.max_total_tokens, 2)
        check_range("--max-prompt-tokens", self.max_prompt_tokens, 1)
        check_range("--prefill-batch", self.prefill_batch, 1, _MOST_BATCH)
        check_range("--threads", self.threads, 1, _MOST_THREADS)
        for option, pace in (
            ("--prefill-tokens-per-s", self.prefill_tokens_per_s),
            ("--decode-tokens-per-s", self.decode_tokens_per_s),
        ):
            if pace is not None and self.runtime != "synthetic":
                raise BadOptionError(f"{option}: is for --runtime synthetic only")
            if pace is not None and not 0 < pace <= _MOST_PACE:
                raise BadOptionError(f"{option} {pace}: must be above 0, up to {_MOST_PACE}")
        if self.tokens_per_step is not None and self.runtime != "synthetic":
            raise BadOptionError("--tokens-per-step: is for --runtime synthetic only")
        check_range("--tokens-per-step", self.tokens_per_step, 1, _MOST_BATCH)
        out = self.out.resolve()
        for source in (self.checkpoint.resolve(), self.text_folder.resolve()):
            if out == source or out in source.parents or source in out.parents:
                raise BadOptionError(f"--out {self.out}: must lie apart from the checkpoint")

    @property
    def text_folder(self) -> Path:
        """Where config.json, tokenizer and chat template are."""
        return self.tokenizer or self.checkpoint

    def _check_source(self) -> None:
        if not is_gguf(self.checkpoint):
            if self.tokenizer is not None:
                raise BadOptionError("--tokenizer: is for a GGUF file only; a folder has its own")
            return
        if self.runtime != "llama_cpp":
            raise BadOptionError(
                f"--runtime {self.runtime}: a GGUF file is for llama_cpp only; give the folder of "
                "a Hugging Face checkpoint"
            )
        if self.tokenizer is None:
            raise BadOptionError(f"--tokenizer: is missing; {_GET_TOKENIZER}")
        if self.precision != AS_PUBLISHED:
            raise BadOptionError(
                f"--precision {self.precision}: the weights of a GGUF file stay as they are; leave "
                "it out"
            )
        if self.threads is not None:
            raise BadOptionError("--threads: a GGUF file is not converted; leave it out")

    def _check_tensorrt_llm(self) -> None:
        if self.prefill_batch is not None:
            raise BadOptionError("--prefill-batch: is for --runtime llama_cpp only")
        if not self.literal_bytes:
            raise BadOptionError("--byte-tokens: is for --runtime llama_cpp only")
        self.trtllm.check(self.precision)
        if self.precision == "bf16" and self.threads is not None:
            raise BadOptionError("--threads: --precision bf16 computes nothing; leave it out")


def is_gguf(path: Path) -> bool:
    """Return whether a checkpoint is given as a GGUF file: by its name, or its first bytes."""
    try:
        if path.suffix.lower() == ".gguf" or not path.is_file():
            return path.suffix.lower() == ".gguf" and not path.is_dir()
        with path.open("rb") as file:
            return file.read(4) == b"GGUF"
    except OSError:
        return False


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
