"""The memory of one GPU as a bar."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_plan.gpu_memory import GpuMemory

__all__ = ["Part", "parts_of"]

_GIB = 2**30
"""Bytes of the unit that is shown."""


@dataclass(frozen=True, slots=True)
class Part:
    """``share`` of the bar, 0 to 1; ``text`` is its size with a unit."""

    name: str
    share: float
    text: str


def parts_of(plan: GpuMemory) -> list[Part]:
    """Return what fills a GPU, at the cautious end of each span, so that all of them together are
    the memory that a process can use."""
    memory = plan.card.memory_bytes
    beside = plan.overhead.runtime.high + plan.overhead.activations.high
    sizes = {
        "weights": float(plan.rank.weights),
        "KV cache": plan.pool.low,
        "libraries and activations, at most": beside,
    }
    sizes["left free, for CUDA graphs too"] = max(0.0, memory - sum(sizes.values()))
    return [Part(name, size / memory, f"{size / _GIB:,.1f} GiB") for name, size in sizes.items()]
