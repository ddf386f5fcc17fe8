"""The manifest of an engine folder, ``engine.json``: `gemma4 build` writes it, all else reads."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gemma4_runtime.one_line import one_line
from gemma4_runtime.picklable import PicklableError
from gemma4_runtime.strict_json import JsonFileError, parse, read_file

__all__ = [
    "CHAT_TEMPLATE",
    "MANIFEST_NAME",
    "MOST_QUEUED",
    "MOST_SLOTS",
    "SCHEMA_VERSION",
    "BadManifestError",
    "EngineFolderError",
    "FileEntry",
    "FirstTokens",
    "GgufWeights",
    "LlamaCppOptions",
    "Manifest",
    "ManifestLimits",
    "MemoryNeed",
    "ModelFacts",
    "NoManifestError",
    "NoSuchFolderError",
    "Quality",
    "SchemaVersionError",
    "Source",
    "SourceFile",
    "SyntheticPace",
    "TensorRtLlmOptions",
    "UnknownRuntimeError",
    "WarmUp",
    "read_manifest",
]

MANIFEST_NAME = "engine.json"
CHAT_TEMPLATE = "chat_template.jinja"
SCHEMA_VERSION = 1
"""Version of ``engine.json``; a manifest of another one is refused."""
RUNTIMES = ("llama_cpp", "tensorrt_llm", "synthetic")

_MOST_BYTES = 64 << 20
"""Of engine.json; one of the 26B for TensorRT-LLM has 20 kB."""

_MOST = 2**62
"""The largest number in a manifest, far beyond any size, so that sums fit into 64 bits."""
MOST_SLOTS, MOST_QUEUED = 65_536, 1_000_000
"""Requests that an engine runs at once, and that wait in it."""

_FILES = ("tokenizer.json", "generation_config.json", CHAT_TEMPLATE)

Positive = Annotated[int, Field(gt=0, le=_MOST)]
Count = Annotated[int, Field(ge=0, le=_MOST)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _inside(name: str) -> str:
    """Check that a path is relative and stays in the folder."""
    parts = name.split("/")
    if not name.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{name!r} is no file inside the folder")
    return name


class EngineFolderError(PicklableError):
    """The folder cannot be served; the text says why and what to do, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class NoSuchFolderError(EngineFolderError):
    """The path is not a folder."""


class NoManifestError(EngineFolderError):
    """The folder has no engine.json."""


class BadManifestError(EngineFolderError):
    """engine.json is no manifest."""


class SchemaVersionError(EngineFolderError):
    """engine.json was written by a version that this one does not read."""


class UnknownRuntimeError(EngineFolderError):
    """engine.json names a runtime that does not exist here."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SourceFile(_Model):
    """A file of the checkpoint. ``sampled``: the hash covers size, header and samples only."""

    name: str
    size: Count
    sha256: Sha256
    sampled: bool


class Source(_Model):
    """The checkpoint that the engine was built from."""

    name: str
    architecture: str
    files: list[SourceFile]


class ManifestLimits(_Model):
    """What the engine was planned for. ``max_total_tokens`` is prompt plus output of one
    request; ``slots`` requests run at once and ``max_queued`` wait."""

    max_total_tokens: Positive
    max_prompt_tokens: Positive
    slots: Annotated[int, Field(gt=0, le=MOST_SLOTS)]
    max_queued: Annotated[int, Field(ge=0, le=MOST_QUEUED)]


class ModelFacts(_Model):
    """What the runtime and the tools need to know of the model."""

    layers: Positive
    sliding_layers: Count
    hidden_size: Positive
    vocab_size: Positive
    bos_id: Count
    eos_ids: list[Count]
    pad_id: Count
    sliding_window: Positive
    context_length: Positive
    experts: Count
    experts_per_token: Count


class MemoryNeed(_Model):
    """Estimated resident bytes. KV bytes are per token, summed over the layers of the kind.

    llama.cpp keeps, per slot, ``max_total_tokens`` cells for full layers and the window plus one
    micro batch, padded to 256, for sliding layers (llama-kv-cache-iswa.cpp). The latter it keeps
    ``sliding_copies`` times: those in use, and checkpoints of earlier places of the prompt.
    """

    weight_bytes: Count
    kv_bytes_per_token_sliding: Count
    kv_bytes_per_token_full: Count
    sliding_cells: Count
    compute_bytes: Count
    sliding_copies: Positive = 1

    def total(self, *, slots: int, max_total_tokens: int) -> int:
        """Return the bytes for ``slots`` requests of ``max_total_tokens`` each."""
        cells = self.sliding_copies * min(self.sliding_cells, max_total_tokens)
        sliding = cells * self.kv_bytes_per_token_sliding
        full = max_total_tokens * self.kv_bytes_per_token_full
        return self.weight_bytes + self.compute_bytes + slots * (sliding + full)

    def fitting_slots(self, *, available: int, max_total_tokens: int) -> int:
        """Return the most slots that fit into ``available`` bytes; 0 when not even one does."""
        fixed = self.total(slots=0, max_total_tokens=max_total_tokens)
        each = self.total(slots=1, max_total_tokens=max_total_tokens) - fixed
        return max(0, (available - fixed) // max(1, each))


class Quality(_Model):
    """How the built engine compares with a float32 reference of the checkpoint.

    Positions are generated tokens. ``mean_kl`` is in nats, over the engine's ``top_k`` most
    probable tokens and one bucket for the rest (``top_k`` the whole vocabulary: exact).
    ``max_abs_delta_logprob`` is of the tokens that the engine chose. ``top1_agreement`` is a
    fraction of positions. The perplexities are of the same held-out text, of the engine and of
    the reference.
    """

    prompts: Positive
    positions: Positive
    top_k: Positive
    mean_kl: float
    p99_kl: float
    top1_agreement: float
    max_abs_delta_logprob: float
    reference: str
    thresholds: dict[str, float]
    perplexity: float | None = None
    reference_perplexity: float | None = None


class LlamaCppOptions(_Model):
    """How the runtime must load the file. ``byte_tokens`` "literal": byte tokens have normal
    type, so that llama.cpp streams their ids one by one (its text is not used). ``measured``: the
    machine that serves measures its own prefill batch, beginning with ``micro_batch``."""

    kv_type: Literal["f32", "f16", "q8_0"]
    flash_attention: bool
    byte_tokens: Literal["literal", "byte"]
    micro_batch: Positive
    measured: bool = False


class WarmUp(_Model):
    """What ``gemma4 build --warm`` measured on the machine that built: seconds, and generated
    tokens/s of whole batches by their size, prefill included. ``gpu`` is the device's name, ""
    for a CPU."""

    gpu: str
    seconds: float
    prompt_tokens: Positive
    answer_tokens: Positive
    ttft_s: float
    tokens_per_s: dict[Positive, float]


class SyntheticPace(_Model):
    """Pace of the synthetic runtime, per request. ``tokens_per_step`` tokens come at once, as from
    an engine with speculative decoding."""

    prefill_tokens_per_s: Annotated[float, Field(gt=0)]
    decode_tokens_per_s: Annotated[float, Field(gt=0)]
    tokens_per_step: Positive = 1


class GgufWeights(_Model):
    """The GGUF file whose weights the engine has as they were: its name, the SHA-256 of all of it,
    and how many of its tensors are of which ggml type."""

    file: str
    sha256: Sha256
    types: dict[str, Positive]


class TensorRtLlmOptions(_Model):
    """How TensorRT-LLM runs the folder. ``checkpoint`` is the Hugging Face folder and ``llm_args``
    the arguments of its LLM API, both inside the engine folder."""

    preset: Literal["latency", "throughput", "long-context"]
    checkpoint: str = "checkpoint"
    llm_args: str = "llm_args.yaml"


class FirstTokens(_Model):
    """What the source checkpoint answers greedily to the raw prompt ``text`` (BOS is added).

    ``margins`` are the gaps (nats) between the best and the second token: where one is smaller
    than the engine's rounding, either may come."""

    text: str
    ids: list[Count]
    margins: list[float] = []


class FileEntry(_Model):
    """Size in bytes and SHA-256 of a file of the folder."""

    size: Count
    sha256: Sha256


class Manifest(_Model):
    """engine.json. ``verified`` false: ``quality`` is None and ``unverified_reason`` says why.

    ``first_tokens`` lets a machine that can run the engine check it against the source.
    ``gguf`` is set for an engine that was made from a GGUF file, which no float reference proves.
    ``experimental`` says why the engine may not work; empty for what is known to.

    ``build_key`` identifies what the files were made from; equal keys mean equal files, the chat
    template apart: ``former_template`` is the one that ``gemma4 template`` replaced. Where that was
    interrupted it is still in place, which is as good.
    """

    schema_version: Literal[1]
    runtime: Literal["llama_cpp", "tensorrt_llm", "synthetic"]
    runtime_version: str
    source: Source
    precision: Annotated[str, Field(pattern=r"^(none|f32|bf16|int8|int4|fp8|nvfp4|gguf)$")]
    tensor_parallel: Positive = 1
    expert_parallel: Positive = 1
    gpu_arch: str | None = None
    limits: ManifestLimits
    model: ModelFacts
    memory: MemoryNeed
    llama_cpp: LlamaCppOptions | None = None
    synthetic: SyntheticPace | None = None
    tensorrt_llm: TensorRtLlmOptions | None = None
    gguf: GgufWeights | None = None
    warm: WarmUp | None = None
    verified: bool
    unverified_reason: str = ""
    quality: Quality | None = None
    first_tokens: list[FirstTokens] = []
    experimental: str = ""
    build_key: Sha256
    tool_version: str
    created_at: datetime
    files: dict[Annotated[str, AfterValidator(_inside)], FileEntry]
    former_template: FileEntry | None = None

    @model_validator(mode="after")
    def _whole(self) -> Manifest:
        """Check that the options of the runtime and the files that every start reads are there."""
        if getattr(self, self.runtime) is None:
            raise ValueError(f"{self.runtime}: the runtime's options are missing")
        needed = (*_FILES, "model.gguf") if self.runtime == "llama_cpp" else _FILES
        if (self.gguf is not None) != (self.precision == "gguf"):
            raise ValueError("gguf: precision 'gguf' and the file that it comes from go together")
        missing = [name for name in needed if name not in self.files]
        if missing:
            raise ValueError(f"files: lacks {missing[0]}")
        return self


def read_manifest(path: Path) -> Manifest:
    """Parse ``path/engine.json`` without looking at the other files.

    Raises :class:`NoSuchFolderError`, :class:`NoManifestError`, :class:`BadManifestError`,
    :class:`SchemaVersionError`, :class:`UnknownRuntimeError`.
    """
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise NoSuchFolderError(
            f"{path}: cannot be read ({error.strerror}); let this user read it, or give another "
            "folder"
        ) from None
    if not is_folder:
        raise NoSuchFolderError(f"{path}: no such folder; make one with `gemma4 build`")
    file = path / MANIFEST_NAME
    try:
        data = parse(read_file(file, most=_MOST_BYTES))
    except FileNotFoundError:
        raise NoManifestError(
            f"{file}: not found; {path} is no engine folder, make one with `gemma4 build`"
        ) from None
    except (OSError, JsonFileError) as error:
        raise BadManifestError(f"{file}: cannot be read ({error}); build again") from None
    if not isinstance(data, dict):
        raise BadManifestError(f"{file}: not a JSON object; build again")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{file}: schema_version is {version!r}, this version reads {SCHEMA_VERSION}; "
            "build again with this version"
        )
    if data.get("runtime") not in RUNTIMES:
        raise UnknownRuntimeError(
            f"{file}: runtime is {data.get('runtime')!r}, known are {', '.join(RUNTIMES)}; "
            "build again with one of them"
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        where = f"{file}: {field}" if field else str(file)
        raise BadManifestError(f"{where}: {first['msg']}; build again") from None
