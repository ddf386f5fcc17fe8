"""What runs in a worker, and what Dynamo's router and planner hear of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_client import Delta

__all__ = ["BLOCK_TOKENS", "Capacity", "Load", "Running", "Sample"]

BLOCK_TOKENS = 32
"""Tokens of what is called a block of the KV cache toward Dynamo; TensorRT-LLM's own is as
large."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of all servers of a worker: ``slots`` requests run at once; ``kv_blocks`` of
    :data:`BLOCK_TOKENS` tokens, None when the engine folder does not say how many there are."""

    slots: int
    kv_blocks: int | None


@dataclass(slots=True, eq=False)
class Running:
    """One request. ``tokens`` are those of its prompt and of the answer so far."""

    prompt_tokens: int
    tokens: int
    begun: bool = False

    def add(self, delta: Delta) -> None:
        self.begun = True
        self.tokens = delta.prompt_tokens + delta.completion_tokens

    @property
    def blocks(self) -> int:
        return -(-self.tokens // BLOCK_TOKENS)


@dataclass(frozen=True, slots=True)
class Sample:
    """The load at one moment. A request that has no token yet is in a slot (``prefill``) or waits
    for one (``waiting``): the engine gives slots in the order of arrival. Blocks are those of the
    requests in slots."""

    decode: int
    decode_tokens: int
    decode_blocks: int
    prefill: int
    prefill_tokens: int
    waiting: int
    waiting_tokens: int
    used_blocks: int


class Load:
    """The requests of one worker. Requests that come to its servers by other ways are not seen."""

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self.running: dict[Running, None] = {}

    def enter(self, *, prompt_tokens: int) -> Running:
        running = Running(prompt_tokens, prompt_tokens)
        self.running[running] = None
        return running

    def leave(self, running: Running) -> None:
        del self.running[running]

    def sample(self) -> Sample:
        """Return the load now."""
        begun = [r for r in self.running if r.begun]
        rest = [r for r in self.running if not r.begun]
        free = max(self.capacity.slots - len(begun), 0)
        prefill, waiting = rest[:free], rest[free:]
        return Sample(
            decode=len(begun),
            decode_tokens=sum(r.tokens for r in begun),
            decode_blocks=sum(r.blocks for r in begun),
            prefill=len(prefill),
            prefill_tokens=sum(r.prompt_tokens for r in prefill),
            waiting=len(waiting),
            waiting_tokens=sum(r.prompt_tokens for r in waiting),
            used_blocks=sum(r.blocks for r in (*begun, *prefill)),
        )
