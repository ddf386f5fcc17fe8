"""llm_args.yaml, through the module that knows TensorRT-LLM's arguments."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from gemma4_runtime.engine_folder import ManifestLimits

from gemma4_build.errors import BuildError
from gemma4_build.trtllm.options import GpuOptions

__all__ = ["write_arguments"]


def write_arguments(
    path: Path, precision: str, options: GpuOptions, limits: ManifestLimits
) -> None:
    """Write the arguments. Raises :class:`BuildError` for what cannot be, and :class:`OSError`."""
    try:
        llm_args: Any = import_module("gemma4_runtime.trtllm.llm_args")
    except ModuleNotFoundError:
        _write_plain(path, precision, options, limits)
        return
    try:
        composed = llm_args.compose(
            options.preset,
            precision=precision,
            tp=options.tp,
            ep=options.ep,
            attention_dp=False,
            slots=limits.slots,
            max_total_tokens=limits.max_total_tokens,
        )
        llm_args.write(path, composed)
    except ValueError as error:
        raise BuildError(f"{path.name}: {error}") from error


def _write_plain(path: Path, precision: str, options: GpuOptions, limits: ManifestLimits) -> None:
    """Until that module is merged: the least that TensorRT-LLM needs. JSON is YAML."""
    args = {
        "model": "checkpoint",
        "tensor_parallel_size": options.tp,
        "moe_expert_parallel_size": options.ep,
        "max_batch_size": limits.slots,
        "max_seq_len": limits.max_total_tokens,
        "enable_chunked_prefill": True,
        "kv_cache_config": {
            "enable_block_reuse": False,
            "enable_partial_reuse": False,
            "dtype": "auto" if precision == "bf16" else "fp8",
        },
    }
    path.write_text(json.dumps(args, indent=2) + "\n", encoding="utf-8")
