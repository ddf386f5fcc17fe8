"""What a machine without a GPU needs, served by llama.cpp."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gemma4_build.gguf_tensors import plan_tensors
from gemma4_build.manifest import llama_cpp_options, memory_need
from gemma4_build.model_spec import ModelSpec
from gemma4_build.precision import PRECISIONS
from gemma4_build.request import BuildRequest
from gemma4_build.tensor_table import checkpoint_tensors
from gemma4_runtime.manifest import MemoryNeed

from gemma4_plan.gpu_memory import MOST_SLOTS, Room
from gemma4_plan.model import published_model
from gemma4_plan.span import exactly

__all__ = ["CPU_PRECISIONS", "CpuMemory", "gguf_bytes", "plan_cpu"]

CPU_PRECISIONS = tuple(PRECISIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuMemory:
    """Of the machine, in bytes. ``available`` None: nobody said how much it has, and ``rooms``
    count nothing."""

    precision: str
    slots: int
    need: MemoryNeed
    available: int | None
    rooms: tuple[Room, ...]

    def total(self, tokens: int) -> int:
        """Return what ``slots`` requests of ``tokens`` need, by which a start refuses too."""
        return self.need.total(slots=self.slots, max_total_tokens=tokens)


def gguf_bytes(spec: ModelSpec, precision: str) -> int:
    """Return the bytes of all tensors in the GGUF file, without its header: vocabulary and merges,
    about a thousandth."""
    return plan_tensors(spec, checkpoint_tensors(spec), PRECISIONS[precision])[-1].end


def plan_cpu(
    precision: str, *, tokens: tuple[int, ...], slots: int, available: int | None
) -> CpuMemory:
    """Plan a machine with ``available`` bytes for requests of each of ``tokens``."""
    spec = published_model()
    request = BuildRequest(
        checkpoint=Path("checkpoint"), out=Path("engine"), precision=precision, slots=slots
    )
    weights = gguf_bytes(spec, precision)
    need = memory_need(spec, weights, llama_cpp_options(request, spec))
    rooms = []
    for length in tokens:
        each = need.total(slots=1, max_total_tokens=length) - need.total(
            slots=0, max_total_tokens=length
        )
        count = 0
        if available is not None:
            count = need.fitting_slots(available=available, max_total_tokens=length)
        rooms.append(Room(tokens=length, kv_bytes=each, requests=exactly(min(count, MOST_SLOTS))))
    return CpuMemory(
        precision=precision, slots=slots, need=need, available=available, rooms=tuple(rooms),
    )  # fmt: skip
