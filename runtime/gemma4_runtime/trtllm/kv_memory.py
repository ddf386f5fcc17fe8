"""What the KV cache of Gemma 4 26B-A4B takes in TensorRT-LLM, and what its scheduler needs of it.

TensorRT-LLM keeps Gemma 4's KV cache with KVCacheManagerV2, whose scheduler knows MAX_UTILIZATION
only: it starts requests while the pool has room, and suspends running ones when it is full. Their
pages go to host memory. Where there is none the executor ends with "V2 scheduler deadlock"
(scheduler_v2.py of tensorrt_llm/_torch/pyexecutor; pull requests 17396 and 18015 of
NVIDIA/TensorRT-LLM). So the arguments name enough host memory for every request but the one that
runs, whatever the GPU's pool holds.

Sliding and full layers have blocks of their own, and one kind cannot take the other's place. The
GPU's pool and the host's memory are divided between them alike, once, at the start:

* with ``kv_cache_config.avg_seq_len``, in the ratio of a step of one prompt of ``max_num_tokens``
  and ``max_batch_size`` less one requests of that length (``KVCacheManagerV2._build_base_config``,
  kv_cache_manager_v2.py, commit 00be09f7);
* without it, in the ratio of one request of 2049 tokens (``StorageManager.__init__`` of
  runtime/kv_cache_manager_v2/_storage_manager.py, two versions), which gives the full layers less
  than half of what requests of 8192 tokens take.

So the arguments name ``avg_seq_len``, and as host memory what such a step takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "GEMMA4_26B_KV", "KV_BLOCK_TOKENS", "Blocks", "KvShape", "block_bytes", "held_requests",
    "host_cache_bytes", "least_host_bytes", "request_blocks", "request_bytes", "step_blocks",
    "window_tokens",
]  # fmt: skip

KV_BLOCK_TOKENS = 32
"""Tokens of a block of the KV cache where ``kv_cache_config.tokens_per_block`` says nothing:
TensorRT-LLM's default."""

_WINDOW_ENDS = 2
"""Blocks at the two ends of the sliding window, which it fills in part."""
_NOT_SAID = 2049
"""Tokens of the request by which TensorRT-LLM divides where ``avg_seq_len`` says nothing."""
_STEP_TOKENS = 8192
"""TensorRT-LLM's ``max_num_tokens`` where the arguments say nothing."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Of the sliding layers and of the full ones, in number or in bytes."""

    sliding: int
    full: int

    @property
    def total(self) -> int:
        return self.sliding + self.full

    def __add__(self, other: Blocks) -> Blocks:
        return Blocks(self.sliding + other.sliding, self.full + other.full)

    def __mul__(self, count: int) -> Blocks:
        return Blocks(self.sliding * count, self.full * count)

    def by(self, other: Blocks) -> Blocks:
        """Return each kind's product."""
        return Blocks(self.sliding * other.sliding, self.full * other.full)


@dataclass(frozen=True, slots=True, kw_only=True)
class KvShape:
    """What decides the size of the cache. Heads and their sizes are those of keys; values have the
    same, and both are kept. ``window`` is that of the sliding layers, in tokens."""

    sliding_layers: int
    sliding_heads: int
    sliding_head_dim: int
    full_layers: int
    full_heads: int
    full_head_dim: int
    window: int

    def token_bytes(self, *, element_bytes: int, tp: int) -> Blocks:
        """Return the bytes of a token on each of ``tp`` GPUs, for all layers of a kind.
        ``element_bytes`` is 2 for a bf16 cache and 1 for fp8. A head that is not shared out is on
        every GPU."""
        sliding = self.sliding_layers * -(-self.sliding_heads // tp) * self.sliding_head_dim
        full = self.full_layers * -(-self.full_heads // tp) * self.full_head_dim
        return Blocks(sliding, full) * (2 * element_bytes)


GEMMA4_26B_KV = KvShape(
    sliding_layers=25, sliding_heads=8, sliding_head_dim=256,
    full_layers=5, full_heads=2, full_head_dim=512, window=1024,
)  # fmt: skip
"""Gemma 4 26B-A4B (its config.json)."""


def window_tokens(window: int) -> int:
    """Return the most tokens of a request for which sliding layers have room at once: those of
    ``window`` and the rest of the blocks at its ends."""
    return (-(-window // KV_BLOCK_TOKENS) + _WINDOW_ENDS) * KV_BLOCK_TOKENS


_WINDOW_BLOCKS = window_tokens(GEMMA4_26B_KV.window) // KV_BLOCK_TOKENS
"""Blocks of a request in sliding layers, at most."""


def block_bytes(*, element_bytes: int, tp: int) -> Blocks:
    """Return the bytes of one block on each of ``tp`` GPUs, for all layers of its kind."""
    return GEMMA4_26B_KV.token_bytes(element_bytes=element_bytes, tp=tp) * KV_BLOCK_TOKENS


def request_blocks(tokens: int) -> Blocks:
    """Return the most blocks that a request of ``tokens`` has."""
    whole = -(-tokens // KV_BLOCK_TOKENS)
    return Blocks(min(whole, _WINDOW_BLOCKS), whole)


def request_bytes(tokens: int, *, element_bytes: int, tp: int) -> int:
    """Return the bytes that a request of ``tokens`` has on each of ``tp`` GPUs."""
    return request_blocks(tokens).by(block_bytes(element_bytes=element_bytes, tp=tp)).total


def step_blocks(slots: int, tokens: int, *, step_tokens: int) -> Blocks:
    """Return the blocks of the step by which TensorRT-LLM divides its memory: a prompt of
    ``step_tokens``, which has no window yet, and ``slots`` less one requests of ``tokens``."""
    prompt = -(-step_tokens // KV_BLOCK_TOKENS)
    return Blocks(prompt, prompt) + request_blocks(tokens) * max(slots - 1, 0)


def held_requests(
    pool: int, tokens: int, *, slots: int, step_tokens: int, element_bytes: int, tp: int
) -> int:
    """Return how many whole requests of ``tokens`` the GPU's pool of ``pool`` bytes holds, where
    ``avg_seq_len`` is ``tokens``, ``max_batch_size`` is ``slots`` and ``max_num_tokens`` is
    ``step_tokens``. It may be more than ``slots``."""
    size = block_bytes(element_bytes=element_bytes, tp=tp)
    parts = step_blocks(slots, tokens, step_tokens=step_tokens).by(size)
    each = request_blocks(tokens).by(size)
    return max(
        0,
        min(
            pool * parts.sliding // (parts.total * each.sliding),
            pool * parts.full // (parts.total * each.full),
        ),
    )


def host_cache_bytes(
    slots: int, tokens: int, *, step_tokens: int, element_bytes: int, tp: int
) -> int:
    """Return ``kv_cache_config.host_cache_size``, bytes for each GPU, with which ``slots`` requests
    of ``tokens`` never deadlock as long as the pool holds one, where ``avg_seq_len`` is ``tokens``
    and ``max_num_tokens`` is ``step_tokens``."""
    if slots < 2:
        return 0
    step = step_blocks(slots, tokens, step_tokens=step_tokens)
    return step.by(block_bytes(element_bytes=element_bytes, tp=tp)).total


def least_host_bytes(args: Mapping[str, Any]) -> int:
    """Return the bytes for each GPU that keep ``args`` of ``LLM(...)``, checked ones, from a
    deadlock: in its part, each kind of layer must hold all requests but one."""
    cache, slots = args["kv_cache_config"], int(args["max_batch_size"])
    if slots < 2:
        return 0
    tp = 1 if args.get("enable_attention_dp") else args.get("tensor_parallel_size") or 1
    size = block_bytes(element_bytes=1 if cache.get("dtype") == "fp8" else 2, tp=tp)
    if average := cache.get("avg_seq_len"):
        step_tokens = args.get("max_num_tokens") or _STEP_TOKENS
        parts = step_blocks(slots, average, step_tokens=step_tokens).by(size)
    else:
        parts = request_blocks(_NOT_SAID).by(size)
    needed = (request_blocks(int(args["max_seq_len"])) * (slots - 1)).by(size)
    return max(
        -(-needed.sliding * parts.total // parts.sliding),
        -(-needed.full * parts.total // parts.full),
    )
