"""The commands that a plan ends with."""

from __future__ import annotations

from gemma4_runtime.trtllm.gpus import GPUS

from gemma4_plan.catalog import Card
from gemma4_plan.cpu_memory import CpuMemory
from gemma4_plan.gpu_memory import GpuMemory, Split
from gemma4_plan.model import published_model

__all__ = ["build_command", "build_for_cpu", "build_for_gpu", "buildable", "known_gpu"]

_LEAST_TOKENS = published_model().window + 1
"""Prompt and answer of a request for which TensorRT-LLM can be built: more than the window of the
sliding layers (gemma4_runtime.trtllm.unsupported)."""

_BUILD = "gemma4 build /models/gemma-4-26B-A4B-it --out engines/gemma4"


def build_for_gpu(plan: GpuMemory) -> str:
    """Return the command that builds for the longest requests of the plan; "" where they do not fit
    for sure, or nothing runs."""
    longest = max(plan.rooms, key=lambda room: room.tokens)
    if plan.verdict.status == "no" or longest.requests.low < 1:
        return ""
    return build_command(
        known_gpu(plan.gpu, plan.card), plan.split, slots=int(longest.requests.low),
        tokens=longest.tokens, preset=plan.preset,
    )  # fmt: skip


def known_gpu(name: str, card: Card) -> str:
    """Return the name by which a build knows the card: of one that is only in a user's catalog, the
    nearest in memory with its compute capability; "" where none has that."""
    if name in GPUS:
        return name
    same = [gpu for gpu in GPUS.values() if gpu.sm == card.sm]
    near = min(same, key=lambda gpu: abs(gpu.memory_gb - card.memory_gb), default=None)
    return "" if near is None else near.name


def buildable(tokens: int) -> int:
    """Return the ``--max-total-tokens`` for requests of ``tokens``."""
    return max(tokens, _LEAST_TOKENS)


def build_command(
    gpu: str, split: Split, *, slots: int, tokens: int, preset: str = "throughput"
) -> str:
    """Return the command for ``slots`` requests of ``tokens`` at once; without ``gpu`` it builds
    for the GPU of the machine on which it runs."""
    words = ["--runtime tensorrt_llm", *([f"--gpu {gpu}"] if gpu else [])]
    words.append(f"--precision {split.precision}")
    if split.tp > 1:
        words.append(f"--tp {split.tp} --ep {split.ep}")
    if split.quantize != "experts":
        words.append(f"--quantize {split.quantize}")
    if split.pad:
        words.append("--pad-experts")
    if preset != "throughput":
        words.append(f"--preset {preset}")
    words.append(f"--slots {slots} --max-total-tokens {buildable(tokens)}")
    return " ".join([_BUILD, *words])


def build_for_cpu(plan: CpuMemory) -> str:
    """Return the command for the longest requests of the plan; "" where they do not fit."""
    longest = max(room.tokens for room in plan.rooms)
    if plan.available is not None and plan.total(longest) > plan.available:
        return ""
    return (
        f"{_BUILD} --precision {plan.precision} --slots {plan.slots} --max-total-tokens {longest}"
    )
