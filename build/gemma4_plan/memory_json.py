"""Answers of ``gemma4 plan memory`` as JSON: bytes and counts, spans as [low, high]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from gemma4_plan.commands import build_for_cpu, build_for_gpu
from gemma4_plan.cpu_memory import CpuMemory
from gemma4_plan.document.memory import Memory, MemoryAnswer, RequestRoom
from gemma4_plan.gpu_memory import GpuMemory, Room
from gemma4_plan.memory_question import Refused, fits

__all__ = ["as_json"]


def as_json(found: Sequence[GpuMemory | CpuMemory | Refused]) -> Memory:
    """Return all answers."""
    return {"answers": [_answer(answer) for answer in found]}


def _answer(answer: GpuMemory | CpuMemory | Refused) -> MemoryAnswer:
    if isinstance(answer, Refused):
        nothing = _nothing(answer.gpu, answer.precision)
        return {**nothing, "status": "no", "reason": answer.reason}
    return _cpu(answer) if isinstance(answer, CpuMemory) else _gpu(answer)


def _nothing(gpu: str, precision: str) -> MemoryAnswer:
    return {
        "gpu": gpu, "precision": precision, "tensor_parallel": None, "expert_parallel": None,
        "preset": None, "status": "yes", "reason": None, "fits": None, "slots": None,
        "memory_bytes": None, "weight_bytes": None, "runtime_bytes": None,
        "activation_bytes": None, "cuda_graph_bytes": None, "kv_pool_bytes": None,
        "left_free_bytes": None, "need": None, "requests": [], "longest_request_tokens": None,
        "build": "",
    }  # fmt: skip


def _gpu(plan: GpuMemory) -> MemoryAnswer:
    split, beside = plan.split, plan.overhead
    return {
        "gpu": plan.gpu,
        "precision": split.precision,
        "tensor_parallel": split.tp,
        "expert_parallel": split.ep,
        "preset": plan.preset,
        "status": plan.verdict.status,
        "reason": plan.verdict.explain(),
        "fits": plan.fits,
        "slots": plan.slots,
        "memory_bytes": plan.card.memory_bytes,
        "weight_bytes": asdict(plan.rank),
        "runtime_bytes": beside.runtime.as_list(),
        "activation_bytes": beside.activations.as_list(),
        "cuda_graph_bytes": beside.graphs.as_list(),
        "kv_pool_bytes": plan.pool.as_list(),
        "left_free_bytes": plan.left.as_list(),
        "need": None,
        "requests": [_room(room) for room in plan.rooms],
        "longest_request_tokens": plan.longest.as_list(),
        "build": build_for_gpu(plan),
    }


def _cpu(plan: CpuMemory) -> MemoryAnswer:
    known = plan.available is not None
    rooms = [_room(room) for room in plan.rooms]
    for room in rooms:
        room["total_bytes"] = plan.total(room["tokens"])
        if not known:
            room["at_once"] = None
    return {
        **_nothing("cpu", plan.precision),
        "fits": None if not known else "yes" if fits(plan) else "no",
        "slots": plan.slots,
        "memory_bytes": plan.available,
        "need": plan.need.model_dump(),
        "requests": rooms,
        "build": build_for_cpu(plan),
    }


def _room(room: Room) -> RequestRoom:
    return {
        "tokens": room.tokens,
        "kv_bytes": room.kv_bytes,
        "at_once": room.requests.as_list(),
        "total_bytes": None,
    }
