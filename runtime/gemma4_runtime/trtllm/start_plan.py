"""What a start will do, checked before anything is loaded, by server and engine alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemma4_runtime.machine import available_memory
from gemma4_runtime.trtllm import llm_args
from gemma4_runtime.trtllm.gpu_sets import check_visible, parse_gpu_sets, visible_gpus
from gemma4_runtime.trtllm.host_memory import short_of
from gemma4_runtime.trtllm.loader.folder import read_folder
from gemma4_runtime.trtllm.loader.rules import violations
from gemma4_runtime.trtllm.loader.shape import Cut

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """``args`` as in the file. ``gpu_sets``: CUDA_VISIBLE_DEVICES of each copy of the model, None
    to leave it as it is."""

    args: dict[str, Any]
    gpu_sets: tuple[str | None, ...]


def make_plan(
    folder: Path, *, slots: int, max_total_tokens: int, gpu_device_ids: str | None
) -> Plan:
    """Plan a start. ``slots`` is for each copy. Raises
    :class:`~gemma4_runtime.trtllm.llm_args.LlmArgsError` and
    :class:`~gemma4_runtime.trtllm.gpu_sets.GpuError`."""
    args = llm_args.read(folder / llm_args.FILE_NAME)
    _check_loads(args, folder, Path(llm_args.resolve(args, folder)["model"]))
    for key, needed, what in (
        ("max_batch_size", slots, "slots"),
        ("max_seq_len", max_total_tokens, "total tokens of a request"),
    ):
        if args[key] < needed:
            raise llm_args.LlmArgsError(
                f"{folder / llm_args.FILE_NAME}: {key}: {args[key]} is less than the {needed} "
                f"{what} that the server takes; raise it, or start with fewer {what}",
                key=key,
            )
    per_set = args.get("tensor_parallel_size", 1)
    sets: tuple[str | None, ...] = (None,)
    if gpu_device_ids is not None:
        sets = parse_gpu_sets(gpu_device_ids, per_set=per_set)
    else:
        check_visible(per_set, visible_gpus())
    missing = short_of(args, copies=len(sets), available=available_memory())
    if missing is not None:
        key = "kv_cache_config.host_cache_size"
        raise llm_args.LlmArgsError(f"{folder / llm_args.FILE_NAME}: {key}: {missing}", key=key)
    return Plan(args, sets)


def _check_loads(args: dict[str, Any], folder: Path, model: Path) -> None:
    """Refuse a split, which a user may have edited, that TensorRT-LLM would load wrongly."""
    file = folder / llm_args.FILE_NAME
    try:
        shape, precision, dense = read_folder(model)
    except (OSError, ValueError) as error:
        raise llm_args.LlmArgsError(
            f"{file}: model: {model}: {error}; build again", key="model"
        ) from None
    cut = Cut(
        precision=precision,
        dense_quantized=dense,
        tp=args.get("tensor_parallel_size", 1),
        ep=args.get("moe_expert_parallel_size") or 1,
        attention_dp=bool(args.get("enable_attention_dp")),
    )
    for found in violations(shape, cut):
        experts = found.mend.startswith("expert")
        key = "moe_expert_parallel_size" if experts else "tensor_parallel_size"
        raise llm_args.LlmArgsError(
            f"{file}: {key}: {found.reason}; build again with the --tp and --ep that you want",
            key=key,
        )
