"""What a start will do, checked before anything is loaded, by server and engine alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemma4_runtime.trtllm import llm_args
from gemma4_runtime.trtllm.gpu_sets import check_visible, parse_gpu_sets, visible_gpus

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
    llm_args.resolve(args, folder)
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
    if gpu_device_ids is not None:
        return Plan(args, parse_gpu_sets(gpu_device_ids, per_set=per_set))
    check_visible(per_set, visible_gpus())
    return Plan(args, (None,))
