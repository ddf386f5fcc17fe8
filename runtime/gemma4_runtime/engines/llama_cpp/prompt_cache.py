"""How much memory llama.cpp may fill with prompts that no slot holds any more."""

from __future__ import annotations

from gemma4_runtime.manifest import MemoryNeed

__all__ = ["prompt_cache_mib"]

_SHARE = 0.5
"""Of what is left beside the need that a start checks: Triton and the other processes live there
too."""
_MIB = 2**20


def prompt_cache_mib(need: MemoryNeed, *, slots: int, max_total_tokens: int, available: int) -> int:
    """Return MiB: as much as the KV cache of the slots, so that as many conversations again are
    found, but at most half of what is left of ``available`` bytes; 0, no such cache, when that is
    nothing. By itself llama.cpp takes 8 GiB, whatever the machine has."""
    total = need.total(slots=slots, max_total_tokens=max_total_tokens)
    slots_kv = total - need.total(slots=0, max_total_tokens=max_total_tokens)
    left = max(0, available - total)
    return int(min(slots_kv, _SHARE * left) / _MIB)
