"""What runs in a worker, and what Dynamo's router and planner hear of it. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gemma4_client import Delta

from gemma4_dynamo.steps import Step, Steps

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

    @property
    def blocks(self) -> int:
        return -(-self.tokens // BLOCK_TOKENS)


@dataclass(frozen=True, slots=True)
class Sample:
    """The load at one moment. A request that has no token yet is in a slot (``prefill``) or waits
    for one (``waiting``): the engine gives slots in the order of arrival. Blocks are those of the
    requests in slots. ``step``: since the sample before."""

    decode: int
    decode_tokens: int
    decode_blocks: int
    prefill: int
    prefill_tokens: int
    waiting: int
    waiting_tokens: int
    used_blocks: int
    step: Step


class Load:
    """The requests of one worker. Requests that come to its servers by other ways are not seen.
    ``clock`` returns seconds."""

    def __init__(self, capacity: Capacity, clock: Callable[[], float] = time.monotonic) -> None:
        self.capacity = capacity
        self.running: dict[Running, None] = {}
        self._steps = Steps(clock)

    def enter(self, *, prompt_tokens: int) -> Running:
        """Note a request that came."""
        running = Running(prompt_tokens, prompt_tokens)
        self.running[running] = None
        return running

    def add(self, running: Running, delta: Delta) -> None:
        """Note a chunk of its answer."""
        tokens = delta.prompt_tokens + delta.completion_tokens
        if running.begun:
            self._steps.generated(tokens - running.tokens)
        else:
            self._steps.begin(delta.prompt_tokens)
            running.begun = True
        running.tokens = tokens

    def leave(self, running: Running) -> None:
        """Note that its answer has ended."""
        del self.running[running]
        if running.begun:
            self._steps.end()

    def sample(self) -> Sample:
        """Return the load now; averages begin anew."""
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
            step=self._steps.take(),
        )
