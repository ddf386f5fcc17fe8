"""What ``gemma4 plan memory --json`` prints."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from gemma4_plan.document.parts import Range, strict

__all__ = ["Memory", "MemoryAnswer", "RequestRoom"]


@with_config(strict)
class RequestRoom(TypedDict):
    """Requests of ``tokens``, prompt and answer: the KV cache of one, in bytes, and how many run at
    once (null where nobody said how much memory there is). ``total_bytes``: of a machine without a
    GPU, all that is needed."""

    tokens: int
    kv_bytes: int
    at_once: Range | None
    total_bytes: int | None


@with_config(strict)
class MemoryAnswer(TypedDict):
    """One GPU and precision, or ``cpu``. Bytes are of one GPU. What is null is not of this kind of
    machine, or of no use since nothing loads (``status`` no). ``status`` is that of the table of
    compatibility, ``fits`` whether the requests do: yes, maybe, no; null where nobody said how much
    memory there is. ``need``: of a machine without a GPU, what a start counts."""

    gpu: str
    precision: str
    tensor_parallel: int | None
    expert_parallel: int | None
    preset: str | None
    status: str
    reason: str | None
    fits: str | None
    slots: int | None
    memory_bytes: int | None
    weight_bytes: dict[str, int] | None
    runtime_bytes: Range | None
    activation_bytes: Range | None
    cuda_graph_bytes: Range | None
    kv_pool_bytes: Range | None
    left_free_bytes: Range | None
    need: dict[str, int] | None
    requests: list[RequestRoom]
    longest_request_tokens: Range | None
    build: str


@with_config(strict)
class Memory(TypedDict):
    """All that was asked for."""

    answers: list[MemoryAnswer]
