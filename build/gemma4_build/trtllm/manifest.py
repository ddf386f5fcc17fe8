"""The manifest of a TensorRT-LLM engine folder, and what identifies its checkpoint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from gemma4_runtime.manifest import (
    FileEntry,
    FirstTokens,
    Manifest,
    MemoryNeed,
    Quality,
    SourceFile,
    TensorRtLlmOptions,
)
from gemma4_runtime.manifest import Source as ManifestSource
from gemma4_runtime.trtllm.kv_memory import window_tokens
from gemma4_runtime.trtllm.versions import PINNED
from gemma4_runtime.version import project_version

from gemma4_build.build_time import build_time
from gemma4_build.manifest import model_facts
from gemma4_build.model_name import checkpoint_name
from gemma4_build.model_spec import ARCHITECTURE, ModelSpec
from gemma4_build.request import BuildRequest, resolve_limits
from gemma4_build.trtllm.bytes_needed import COMPUTE_BYTES, plan_rank
from gemma4_build.trtllm.compatibility_check import Compatibility
from gemma4_build.trtllm.source import Source
from gemma4_build.trtllm.widths import Widths

__all__ = ["Proof", "build_key", "compose", "memory_need"]

CONVERTER = 1
"""Raise when the same checkpoint and options give another ``checkpoint/``."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was measured: ``quality`` or why there is none, and the source's first tokens."""

    quality: Quality | None
    reason: str
    first_tokens: list[FirstTokens]


def build_key(
    request: BuildRequest,
    source: Source,
    to: Widths | None,
    samples: list[list[int]],
    assistant: list[SourceFile],
) -> str:
    """Return the SHA-256 of everything that decides ``checkpoint/`` and ``assistant/``. How many
    GPUs share it, which, and the limits do not: they are in llm_args.yaml and the manifest, which
    are written anew."""
    parts: dict[str, object] = {
        "converter": CONVERTER,
        "runtime": "tensorrt_llm",
        "files": [file.model_dump() for file in source.files],
        "precision": request.precision,
        "kinds": None if source.scheme is None else sorted(source.scheme.kinds),
        "widths": None if to is None else asdict(to),
        "samples": samples,
    }
    if assistant:
        parts["assistant"] = [file.model_dump() for file in assistant]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def memory_need(spec: ModelSpec, request: BuildRequest) -> MemoryNeed:
    """Return the need of each GPU. ``spec`` has the widths of ``checkpoint/``."""
    options = request.trtllm
    plan = plan_rank(
        spec, request.precision, tp=options.tp, ep=options.ep, quantize=options.scheme_name
    )
    return MemoryNeed(
        weight_bytes=plan.weights,
        kv_bytes_per_token_sliding=plan.kv_sliding_per_token,
        kv_bytes_per_token_full=plan.kv_full_per_token,
        sliding_cells=window_tokens(spec.window),
        compute_bytes=COMPUTE_BYTES,
    )


def compose(
    request: BuildRequest,
    source: Source,
    *,
    spec: ModelSpec,
    key: str,
    compatibility: Compatibility,
    files: dict[str, FileEntry],
    proof: Proof,
) -> Manifest:
    """Return the manifest of a finished folder. ``spec`` has the widths of ``checkpoint/``."""
    options = request.trtllm
    return Manifest(
        schema_version=1,
        runtime="tensorrt_llm",
        runtime_version=PINNED,
        source=ManifestSource(
            name=checkpoint_name(request.checkpoint), architecture=ARCHITECTURE, files=source.files
        ),
        precision=request.precision,
        tensor_parallel=options.tp,
        expert_parallel=options.ep,
        gpu_arch=compatibility.gpu_arch,
        limits=resolve_limits(request, spec),
        model=model_facts(spec, source.eos_ids),
        memory=memory_need(spec, request),
        tensorrt_llm=TensorRtLlmOptions(preset=options.require_preset()),
        verified=proof.quality is not None,
        unverified_reason=proof.reason,
        quality=proof.quality,
        first_tokens=proof.first_tokens,
        experimental=compatibility.experimental,
        build_key=key,
        tool_version=project_version(),
        created_at=build_time(),
        files=files,
    )
