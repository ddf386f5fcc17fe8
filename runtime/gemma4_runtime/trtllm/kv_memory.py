"""What the KV cache of Gemma 4 26B-A4B takes in TensorRT-LLM, and what its scheduler needs of it.

TensorRT-LLM keeps Gemma 4's KV cache with KVCacheManagerV2, whose scheduler knows MAX_UTILIZATION
only: it starts requests while the pool has room, and suspends running ones when it is full. Their
pages go to host memory. Where there is none the executor ends with "V2 scheduler deadlock"
(scheduler_v2.py of tensorrt_llm/_torch/pyexecutor; pull requests 17396 and 18015 of
NVIDIA/TensorRT-LLM). So the arguments name enough host memory for every request but the one that
runs, whatever the GPU's pool holds.
"""

from __future__ import annotations

__all__ = ["host_cache_bytes", "request_bytes"]

# Gemma 4 26B-A4B (config.json); keys and values are both kept.
_SLIDING_LAYERS, _SLIDING_HEADS, _SLIDING_HEAD_DIM = 25, 8, 256
_GLOBAL_LAYERS, _GLOBAL_HEADS, _GLOBAL_HEAD_DIM = 5, 2, 512
_WINDOW_TOKENS = 1024 + 2 * 32
"""The sliding window, and the blocks at its two ends."""


def request_bytes(tokens: int, *, element_bytes: int, tp: int) -> int:
    """Return the bytes that a request of ``tokens`` has on each of ``tp`` GPUs. ``element_bytes``
    is 2 for a bf16 cache and 1 for fp8. A head that is not shared out is on every GPU."""
    sliding = _SLIDING_LAYERS * -(-_SLIDING_HEADS // tp) * _SLIDING_HEAD_DIM
    full = _GLOBAL_LAYERS * -(-_GLOBAL_HEADS // tp) * _GLOBAL_HEAD_DIM
    whole = -(-tokens // 32) * 32
    return 2 * element_bytes * (sliding * min(whole, _WINDOW_TOKENS) + full * whole)


def host_cache_bytes(slots: int, tokens: int, *, element_bytes: int, tp: int) -> int:
    """Return ``kv_cache_config.host_cache_size``, bytes for each GPU, with which ``slots`` requests
    of ``tokens`` never deadlock as long as the pool holds one."""
    return max(slots - 1, 0) * request_bytes(tokens, element_bytes=element_bytes, tp=tp)
