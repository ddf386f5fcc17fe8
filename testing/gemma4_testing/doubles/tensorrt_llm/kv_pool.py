"""The KV cache as KVCacheManagerV2 and its scheduler have it.

Two kinds of blocks, of the sliding and of the full layers, each with its part of the GPU's pool and
of the host tier. The parts are set at the start: by a step of one prompt of ``max_num_tokens`` and
``max_batch_size`` less one requests of ``avg_seq_len``, or by one request of 2049 tokens where that
is not named. The scheduler knows MAX_UTILIZATION only, whatever the arguments say: when the running
requests need more blocks of a kind than the pool has, it suspends some, whose pages move to the
host tier. Where that has no room of this kind, or there is none, nothing can be scheduled and the
executor ends. What the double simplifies: a suspended request is only counted, and goes on at once.

``host_cache_size`` None: a tier as large as the pool, NVIDIA's automatic size where the host has
the memory; 0: none. ``TRTLLM_DOUBLE_KV_TOKENS``: tokens of which the pool holds the full layers'
blocks, at least one request's; by default those of all slots.
"""

from __future__ import annotations

import os
from typing import Any

from gemma4_runtime.trtllm.kv_memory import Blocks, block_bytes

BLOCK_TOKENS = 32
WINDOW = 1024
NOT_SAID = 2049
"""Tokens of the request that stands for all without ``avg_seq_len``."""


def live(tokens: int) -> Blocks:
    """Blocks that a request of ``tokens`` keeps: those of a sliding layer go when all of their
    tokens have left its window."""
    whole = -(-tokens // BLOCK_TOKENS)
    return Blocks(whole - max(0, tokens - WINDOW) // BLOCK_TOKENS, whole)


def typical_step(config: dict[str, Any], slots: int, step_tokens: int) -> Blocks:
    """The blocks in whose ratio memory is divided."""
    if config["avg_seq_len"] is None:
        return live(NOT_SAID)
    prompt = -(-step_tokens // BLOCK_TOKENS)
    return Blocks(prompt, prompt) + live(config["avg_seq_len"]) * (slots - 1)


class KvPool:
    """Of one executor. Not thread-safe: the caller's lock guards it."""

    def __init__(self, args: dict[str, Any]) -> None:
        config, longest, slots = (
            args["kv_cache_config"],
            args["max_seq_len"],
            args["max_batch_size"],
        )
        if config["use_kv_cache_manager_v2"] is False:
            raise NotImplementedError("the double has KVCacheManagerV2 only")
        if (config["avg_seq_len"] or 0) > longest:
            raise ValueError(
                f"kv_cache_config.avg_seq_len ({config['avg_seq_len']}) must be less than or equal "
                f"to max_seq_len ({longest})"
            )
        tp = 1 if args["enable_attention_dp"] else args["tensor_parallel_size"]
        size = block_bytes(element_bytes=1 if config["dtype"] == "fp8" else 2, tp=tp)
        step, one = typical_step(config, slots, args["max_num_tokens"]), live(longest)
        tokens = os.environ.get("TRTLLM_DOUBLE_KV_TOKENS")
        self.blocks = one.full * slots if tokens is None else int(tokens) // BLOCK_TOKENS
        """Of the full layers, on the GPU."""
        sliding = max(one.sliding, self.blocks * step.sliding // step.full)
        self._capacity = gpu = Blocks(sliding, self.blocks)
        host = config["host_cache_size"]
        if host is None:
            self._capacity += gpu
        elif host:
            total = step.by(size).total
            self._capacity += Blocks(host * step.sliding // total, host * step.full // total)
        self._used: dict[str, Blocks] = {}

    @property
    def used(self) -> int:
        """The full layers' blocks in use; those of suspended requests that moved to the host tier
        are not."""
        return min(self.blocks, sum(each.full for each in self._used.values()))

    def grow(self, key: str, tokens: int) -> str | None:
        """A request has ``tokens`` now. Return what ends the executor, None while all is well."""
        self._used[key] = live(tokens)
        needed = sum(self._used.values(), Blocks(0, 0))
        if needed.sliding <= self._capacity.sliding and needed.full <= self._capacity.full:
            return None
        return (
            f"V2 scheduler deadlock: {len(self._used)} generation request(s) active but none could "
            "be scheduled or evicted"
        )

    def end(self, key: str) -> None:
        self._used.pop(key, None)
