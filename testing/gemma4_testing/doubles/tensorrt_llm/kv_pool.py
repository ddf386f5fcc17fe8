"""The KV cache as KVCacheManagerV2 and its scheduler have it.

The scheduler knows MAX_UTILIZATION only, whatever the arguments say. When the running requests need
more blocks than the pool has, it suspends some, whose pages move to the host tier. Where that has
no room, or there is none, nothing can be scheduled and the executor ends. What the double
simplifies: a suspended request is only counted, and goes on at once.

``host_cache_size`` None: a tier as large as the pool, NVIDIA's automatic size where the host has
the memory; 0: none. ``TRTLLM_DOUBLE_KV_TOKENS``: tokens that the pool holds.
"""

from __future__ import annotations

import os
from typing import Any

from gemma4_runtime.trtllm.kv_memory import request_bytes

BLOCK_TOKENS = 32


class KvPool:
    """Of one executor. Not thread-safe: the caller's lock guards it."""

    def __init__(self, args: dict[str, Any]) -> None:
        config, longest = args["kv_cache_config"], args["max_seq_len"]
        if config["use_kv_cache_manager_v2"] is False:
            raise NotImplementedError("the double has KVCacheManagerV2 only")
        each = -(-longest // BLOCK_TOKENS)
        tokens = os.environ.get("TRTLLM_DOUBLE_KV_TOKENS")
        whole = each * args["max_batch_size"]
        self.blocks = whole if tokens is None else int(tokens) // BLOCK_TOKENS
        host = config["host_cache_size"]
        if host is None:
            self._host_blocks = self.blocks
        else:
            size = 1 if config["dtype"] == "fp8" else 2
            bytes_each = request_bytes(longest, element_bytes=size, tp=args["tensor_parallel_size"])
            self._host_blocks = host * each // bytes_each
        self._used: dict[str, int] = {}

    @property
    def used(self) -> int:
        """Blocks in use; those of suspended requests that moved to the host tier are not."""
        return min(self.blocks, sum(self._used.values()))

    def grow(self, key: str, tokens: int) -> str | None:
        """A request has ``tokens`` now. Return what ends the executor, None while all is well."""
        self._used[key] = -(-tokens // BLOCK_TOKENS)
        if sum(self._used.values()) <= self.blocks + self._host_blocks:
            return None
        return (
            f"V2 scheduler deadlock: {len(self._used)} generation request(s) active but none could "
            "be scheduled or evicted"
        )

    def end(self, key: str) -> None:
        self._used.pop(key, None)
