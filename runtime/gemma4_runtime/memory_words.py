"""What an engine needs of the machine's memory, in words."""

from __future__ import annotations

from gemma4_runtime.manifest import Manifest

__all__ = ["memory_words"]


def memory_words(manifest: Manifest, slots: int | None = None) -> str:
    """Return the memory for ``slots`` requests (None: the manifest's) and what it is for."""
    slots, tokens = slots or manifest.limits.slots, manifest.limits.max_total_tokens
    need = manifest.memory
    total = need.total(slots=slots, max_total_tokens=tokens)
    kv = total - need.total(slots=0, max_total_tokens=tokens)
    return (
        f"{_gib(total)} GiB for {slots} slots of {tokens} tokens (weights "
        f"{_gib(need.weight_bytes)}, KV cache {_gib(kv)}, buffers {_gib(need.compute_bytes)})"
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f}"
