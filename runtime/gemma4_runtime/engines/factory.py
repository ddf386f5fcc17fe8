"""Engine folder -> engine."""

from __future__ import annotations

from pathlib import Path

from gemma4_runtime.engines.base import Engine
from gemma4_runtime.machine import available_memory
from gemma4_runtime.manifest import Manifest
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings

__all__ = ["create_engine"]


def create_engine(
    folder: Path, manifest: Manifest, table: TokenTable, settings: Settings
) -> Engine:
    """Load what the manifest names. Imports only the runtime that is needed. Raises
    :class:`ValueError` for a manifest without the options of its runtime, :class:`RuntimeError`
    when the model does not load."""
    limits = manifest.limits
    slots = settings.slots or limits.slots
    max_queued = limits.max_queued if settings.max_queued is None else settings.max_queued
    if manifest.runtime == "synthetic" and manifest.synthetic is not None:
        from gemma4_runtime.engines.synthetic import Faults, SyntheticEngine

        pace = manifest.synthetic
        return SyntheticEngine(
            slots=slots,
            max_queued=max_queued,
            max_total_tokens=limits.max_total_tokens,
            vocab_size=manifest.model.vocab_size,
            special_ids=table.special,
            interval_s=1 / pace.decode_tokens_per_s,
            tokens_per_step=pace.tokens_per_step,
            prefill_s_per_1k=1000 / pace.prefill_tokens_per_s,
            faults=Faults(**settings.faults),
        )
    if manifest.runtime == "llama_cpp" and manifest.llama_cpp is not None:
        from gemma4_runtime.engines.llama_cpp.engine import LlamaCppEngine
        from gemma4_runtime.engines.llama_cpp.prompt_cache import prompt_cache_mib

        return LlamaCppEngine(
            folder / "model.gguf",
            precision=manifest.precision,
            slots=slots,
            max_queued=max_queued,
            max_total_tokens=limits.max_total_tokens,
            vocab_size=manifest.model.vocab_size,
            table=table,
            options=manifest.llama_cpp,
            threads=settings.threads,
            cache_mib=prompt_cache_mib(
                manifest.memory,
                slots=slots,
                max_total_tokens=limits.max_total_tokens,
                available=available_memory(),
            ),
        )
    if manifest.runtime == "tensorrt_llm" and manifest.tensorrt_llm is not None:
        from gemma4_runtime.engines.tensorrt_llm.engine import TensorRtLlmEngine

        return TensorRtLlmEngine(
            folder,
            precision=manifest.precision,
            version=manifest.runtime_version,
            slots=slots,
            max_queued=max_queued,
            max_total_tokens=limits.max_total_tokens,
            vocab_size=manifest.model.vocab_size,
            pad_id=manifest.model.pad_id,
            gpu_device_ids=settings.gpu_device_ids,
            any_version=settings.trtllm_any_version,
            cache_dir=settings.cache_dir,
        )
    raise ValueError(
        f"{folder}: engine.json names runtime {manifest.runtime!r} and lacks its options; "
        "build again"
    )
