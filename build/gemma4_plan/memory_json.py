"""Answers of ``gemma4 plan memory`` as JSON: bytes and counts, spans as [low, high]."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gemma4_plan.commands import build_for_cpu, build_for_gpu
from gemma4_plan.cpu_memory import CpuMemory
from gemma4_plan.gpu_memory import GpuMemory, Room
from gemma4_plan.memory_question import Refused

__all__ = ["as_json"]


def as_json(answer: GpuMemory | CpuMemory | Refused) -> dict[str, Any]:
    """Return one answer."""
    if isinstance(answer, Refused):
        return {"gpu": answer.gpu, "precision": answer.precision, "status": "no",
                "reason": answer.reason}  # fmt: skip
    return _cpu(answer) if isinstance(answer, CpuMemory) else _gpu(answer)


def _gpu(plan: GpuMemory) -> dict[str, Any]:
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
        "requests": [_room(room) for room in plan.rooms],
        "longest_request_tokens": plan.longest.as_list(),
        "build": build_for_gpu(plan),
    }


def _cpu(plan: CpuMemory) -> dict[str, Any]:
    return {
        "gpu": "cpu",
        "precision": plan.precision,
        "slots": plan.slots,
        "memory_bytes": plan.available,
        "need": plan.need.model_dump(),
        "requests": [
            {
                **_room(room),
                "at_once": None if plan.available is None else room.requests.as_list(),
                "total_bytes": plan.total(room.tokens),
            }
            for room in plan.rooms
        ],
        "build": build_for_cpu(plan),
    }


def _room(room: Room) -> dict[str, Any]:
    return {
        "tokens": room.tokens,
        "kv_bytes": room.kv_bytes,
        "at_once": room.requests.as_list(),
    }
