"""The commands that a plan ends with."""

from __future__ import annotations

from gemma4_plan.cpu_memory import CpuMemory
from gemma4_plan.gpu_memory import GpuMemory, Split

__all__ = ["build_command", "build_for_cpu", "build_for_gpu"]

_BUILD = "gemma4 build /models/gemma-4-26B-A4B-it --out engines/gemma4"


def build_for_gpu(plan: GpuMemory) -> str:
    """Return the command that builds for the longest requests of the plan; "" where they do not fit
    for sure, or nothing runs."""
    longest = max(plan.rooms, key=lambda room: room.tokens)
    if plan.verdict.status == "no" or longest.requests.low < 1:
        return ""
    return build_command(
        plan.gpu, plan.split, slots=int(longest.requests.low), tokens=longest.tokens,
        preset=plan.preset,
    )  # fmt: skip


def build_command(
    gpu: str, split: Split, *, slots: int, tokens: int, preset: str = "throughput"
) -> str:
    """Return the command for ``slots`` requests of ``tokens`` at once."""
    words = [f"--runtime tensorrt_llm --gpu {gpu} --precision {split.precision}"]
    if split.tp > 1:
        words.append(f"--tp {split.tp} --ep {split.ep}")
    if split.quantize != "experts":
        words.append(f"--quantize {split.quantize}")
    if split.pad:
        words.append("--pad-experts")
    if preset != "throughput":
        words.append(f"--preset {preset}")
    words.append(f"--slots {slots} --max-total-tokens {tokens}")
    return " ".join([_BUILD, *words])


def build_for_cpu(plan: CpuMemory) -> str:
    """Return the command for the longest requests of the plan; "" where they do not fit."""
    longest = max(room.tokens for room in plan.rooms)
    if plan.available is not None and plan.total(longest) > plan.available:
        return ""
    return (
        f"{_BUILD} --precision {plan.precision} --slots {plan.slots} --max-total-tokens {longest}"
    )
