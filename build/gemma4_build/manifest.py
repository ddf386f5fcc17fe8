"""Assemble the manifest of an engine folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from gemma4_runtime.engine_hashes import sha256_file
from gemma4_runtime.engines.llama_cpp.memory import CHECKPOINTS
from gemma4_runtime.engines.llama_cpp.prefill import MOST_BATCH
from gemma4_runtime.machine import available_memory
from gemma4_runtime.manifest import (
    CHAT_TEMPLATE,
    MANIFEST_NAME,
    SCHEMA_VERSION,
    FileEntry,
    FirstTokens,
    GgufWeights,
    LlamaCppOptions,
    Manifest,
    MemoryNeed,
    ModelFacts,
    Quality,
    Source,
    SourceFile,
)
from gemma4_runtime.version import project_version

from gemma4_build.build_time import build_time
from gemma4_build.model_name import checkpoint_name
from gemma4_build.model_spec import ARCHITECTURE, ModelSpec
from gemma4_build.precision import PRECISIONS
from gemma4_build.request import BuildRequest, prefill_batch, resolve_limits, synthetic_pace

__all__ = [
    "build_key", "compose", "file_entries", "keep_template", "lacking_memory", "llama_cpp_options",
    "memory_need", "model_facts", "runtime_version", "write_manifest",
]  # fmt: skip

CONVERTER = 1
"""Raise when the same checkpoint and options give other files."""

_KV_BITS = {"f32": 32.0, "f16": 16.0, "q8_0": 8.5}
_PROCESS_BYTES = 256 << 20
"""The runtime's own memory beside weights, KV cache and compute buffers."""


def runtime_version(runtime: str) -> str:
    """Return the exact version of what will run the engine."""
    return version("xllamacpp") if runtime == "llama_cpp" else project_version()


def llama_cpp_options(request: BuildRequest, spec: ModelSpec) -> LlamaCppOptions:
    """Return how the runtime loads the file; verification loads it the same way."""
    precision = PRECISIONS.get(request.precision)  # a GGUF file has none of ours
    return LlamaCppOptions(
        kv_type="f16" if precision is None else precision.kv_type,
        flash_attention=precision is None or precision.flash_attention,
        byte_tokens="literal" if request.literal_bytes else "byte",
        micro_batch=prefill_batch(request, spec),
        measured=request.prefill_batch is None,
    )


def build_key(request: BuildRequest, files: list[SourceFile]) -> str:
    """Return the SHA-256 of everything that decides the files of the folder; limits do not."""
    parts = {
        "converter": CONVERTER,
        "files": [file.model_dump() for file in files],
        "runtime": request.runtime,
        "runtime_version": runtime_version(request.runtime),
    }
    if request.runtime == "llama_cpp":
        parts |= {"precision": request.precision, "literal_bytes": request.literal_bytes}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def memory_need(spec: ModelSpec, weight_bytes: int, options: LlamaCppOptions | None) -> MemoryNeed:
    """Estimate the need; without ``options`` (synthetic) there is no model in memory."""
    if options is None:
        return MemoryNeed(
            weight_bytes=0,
            kv_bytes_per_token_sliding=0,
            kv_bytes_per_token_full=0,
            sliding_cells=0,
            compute_bytes=_PROCESS_BYTES,
        )
    bits = _KV_BITS[options.kv_type]
    batch = max(options.micro_batch, MOST_BATCH) if options.measured else options.micro_batch
    cells = spec.window + batch
    return MemoryNeed(
        weight_bytes=weight_bytes,
        kv_bytes_per_token_sliding=int(spec.kv_values_sliding * bits / 8),
        kv_bytes_per_token_full=int(spec.kv_values_full * bits / 8),
        sliding_cells=cells + -cells % 256,
        compute_bytes=_PROCESS_BYTES + 4 * batch * spec.vocab,
        sliding_copies=1 + CHECKPOINTS,
    )


def lacking_memory(
    spec: ModelSpec,
    weight_bytes: int,
    options: LlamaCppOptions,
    lengths: Iterable[int],
    answer: int,
) -> str:
    """Return why the model cannot be run here now with prompts of ``lengths`` and ``answer``
    tokens after each, one at a time; "" when it can."""
    need = memory_need(spec, weight_bytes, options)
    needed = need.total(slots=1, max_total_tokens=max(lengths) + answer)
    free = available_memory()
    if needed <= free:
        return ""
    return (
        f"the machine that built it had {free / 2**30:.1f} GiB of free memory, "
        f"running it takes {needed / 2**30:.1f} GiB"
    )


def file_entries(folder: Path, names: tuple[str, ...]) -> dict[str, FileEntry]:
    """Return the size and hash of files in ``folder``."""
    return {
        name: FileEntry(size=(folder / name).stat().st_size, sha256=sha256_file(folder / name))
        for name in names
    }


def compose(
    request: BuildRequest,
    spec: ModelSpec,
    *,
    sources: list[SourceFile],
    eos_ids: list[int],
    files: dict[str, FileEntry],
    quality: Quality | None,
    unverified_reason: str,
    first_tokens: Sequence[FirstTokens] = (),
    weights: GgufWeights | None = None,
) -> Manifest:
    """Return the manifest of a finished folder."""
    options = llama_cpp_options(request, spec) if request.runtime == "llama_cpp" else None
    weight_bytes = files["model.gguf"].size if options is not None else 0
    return Manifest.model_validate(
        {
            "schema_version": SCHEMA_VERSION,
            "runtime": request.runtime,
            "runtime_version": runtime_version(request.runtime),
            "source": Source(
                name=checkpoint_name(request.checkpoint), architecture=ARCHITECTURE, files=sources
            ),
            "precision": request.precision if options is not None else "none",
            "limits": resolve_limits(request, spec),
            "model": model_facts(spec, eos_ids),
            "memory": memory_need(spec, weight_bytes, options),
            "llama_cpp": options,
            "synthetic": None if options is not None else synthetic_pace(request),
            "gguf": weights,
            "verified": quality is not None,
            "unverified_reason": unverified_reason,
            "quality": quality,
            "first_tokens": list(first_tokens),
            "build_key": build_key(request, sources),
            "tool_version": project_version(),
            "created_at": build_time(),
            "files": files,
        }
    )


def keep_template(new: Manifest, old: Manifest) -> Manifest:
    """Return ``new`` for a folder that ``old`` describes, whose chat template may have been
    replaced."""
    files = new.files | {CHAT_TEMPLATE: old.files[CHAT_TEMPLATE]}
    return new.model_copy(update={"files": files, "former_template": old.former_template})


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write engine.json atomically. Raises :class:`OSError`."""
    temporary = folder / f"{MANIFEST_NAME}.new"
    temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / MANIFEST_NAME)


def model_facts(spec: ModelSpec, eos_ids: list[int]) -> ModelFacts:
    """Return what the runtime and the tools need to know of the model."""
    return ModelFacts(
        layers=spec.layers,
        sliding_layers=sum(spec.sliding),
        hidden_size=spec.hidden,
        vocab_size=spec.vocab,
        bos_id=spec.bos_id,
        eos_ids=eos_ids,
        pad_id=spec.pad_id,
        sliding_window=spec.window,
        context_length=spec.context,
        experts=spec.experts,
        experts_per_token=spec.experts_per_token,
    )
