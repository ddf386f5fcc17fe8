"""The arguments of TensorRT-LLM's LLM API for Gemma 4 26B-A4B, complete and pinned.

Sources: NVIDIA's own configurations for this model (accuracy and perf-sanity tests of
TensorRT-LLM) and its modeling code, read in its public source. None of them was run by this
project on a GPU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from gemma4_runtime.trtllm.kv_memory import host_cache_bytes
from gemma4_runtime.trtllm.setup import PRECISIONS
from gemma4_runtime.trtllm.unsupported import check

__all__ = ["CHECKPOINT", "FREE_MEMORY", "PRESETS", "Preset", "compose", "step_tokens"]

Preset = Literal["latency", "throughput", "long-context"]
PRESETS: tuple[Preset, ...] = ("latency", "throughput", "long-context")

CHECKPOINT = "checkpoint"
"""Where the weights lie, relative to the engine folder."""

_MAX_NUM_TOKENS = {"latency": 2048, "throughput": 8192, "long-context": 8192}
"""Tokens of one step: a long prompt is prefilled in chunks of that many, and running answers wait
for each. 8192 is NVIDIA's value for this model; 2048 keeps their wait short."""

_STREAM_INTERVAL = {"latency": 1, "throughput": 4, "long-context": 1}
"""Steps between two responses of a stream. The first token is never held back."""

FREE_MEMORY = {"latency": 0.8, "throughput": 0.85, "long-context": 0.9}
"""Of the GPU memory that the weights leave, for the KV cache. NVIDIA's tests use 0.6 to 0.8; the
default of 0.9 leaves little room for the workspaces of 8192-token steps."""

_DRAFT_TOKENS = 3
"""NVIDIA's accuracy test of the assistant."""


def step_tokens(preset: Preset, *, slots: int, assistant: bool = False) -> int:
    """Return ``max_num_tokens``: those of the preset, and no fewer than a step of ``slots`` running
    requests has, drafts of the MTP assistant included."""
    return max(_MAX_NUM_TOKENS[preset], slots * (1 + _DRAFT_TOKENS if assistant else 1))


def compose(
    preset: Preset,
    *,
    precision: str,
    tp: int,
    ep: int,
    attention_dp: bool,
    slots: int,
    max_total_tokens: int,
    free_gpu_memory_fraction: float | None = None,
    assistant: Path | None = None,
    guided: bool = True,
) -> dict[str, Any]:
    """Return the arguments of ``LLM(...)``, checked; ``model`` is relative to the engine folder.

    ``slots`` requests of up to ``max_total_tokens`` (prompt and output) run at once; by
    ``avg_seq_len`` TensorRT-LLM divides its memory for them, and the pinned host memory for those
    that the GPU's pool cannot hold is in ``host_cache_size``.
    ``free_gpu_memory_fraction`` overrides the preset's. ``assistant`` is the folder of the MTP
    assistant, relative to the engine folder; with it there is no guided decoding, whatever
    ``guided`` says. Raises :class:`ValueError` for what cannot be, with the way out.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset {preset!r} is unknown; use one of {', '.join(PRESETS)}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
    fraction = FREE_MEMORY[preset] if free_gpu_memory_fraction is None else free_gpu_memory_fraction
    most = step_tokens(preset, slots=slots, assistant=assistant is not None)
    args: dict[str, Any] = {
        "model": CHECKPOINT,
        # We send token ids and read token ids, but xgrammar needs the vocabulary, and the input
        # processor of the multimodal model is built around the tokenizer.
        "skip_tokenizer_init": False,
        "trust_remote_code": False,
        "dtype": "bfloat16",
        "load_format": "auto",
        "tensor_parallel_size": tp,
        "moe_expert_parallel_size": ep,
        "pipeline_parallel_size": 1,
        "context_parallel_size": 1,
        "enable_attention_dp": attention_dp,
        "max_batch_size": slots,
        "max_num_tokens": most,
        "max_seq_len": max_total_tokens,
        "max_beam_width": 1,
        "enable_chunked_prefill": True,
        "disable_overlap_scheduler": False,
        "stream_interval": _STREAM_INTERVAL[preset],
        "enable_iter_perf_stats": True,  # how full the KV cache is
        "kv_cache_config": {
            "enable_block_reuse": False,
            "enable_partial_reuse": False,
            "dtype": "auto" if precision == "bf16" else "fp8",
            "free_gpu_memory_fraction": fraction,
            "avg_seq_len": max_total_tokens,
            "host_cache_size": host_cache_bytes(
                slots,
                max_total_tokens,
                step_tokens=most,
                element_bytes=2 if precision == "bf16" else 1,
                tp=1 if attention_dp else tp,  # then every GPU keeps whole requests
            ),
        },
        "cuda_graph_config": {"enable_padding": True, "max_batch_size": slots},
        "moe_config": {"backend": "CUTLASS"},
        "scheduler_config": {"capacity_scheduler_policy": "MAX_UTILIZATION"},
        # Text only: no image embeddings to keep.
        "multimodal_config": {"encoder_cache_max_bytes": 0},
        "telemetry_config": {"disabled": True},
    }
    if assistant is not None:
        args["speculative_config"] = {
            "decoding_type": "MTP",
            "max_draft_len": _DRAFT_TOKENS,
            "mtp_eagle_one_model": True,
            "speculative_model": str(assistant),
        }
    elif guided:
        args["guided_decoding_backend"] = "xgrammar"
    check(args)
    return args
