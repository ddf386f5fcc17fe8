"""The pinned host memory that the arguments of a start name, and whether the machine has it."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["lock_limit", "pinned_bytes", "short_of"]

_STATUS = Path("/proc/self/status")
_CAP_IPC_LOCK = 14
"""Bit of the capability with which the limit on locked memory does not count."""


def pinned_bytes(args: Mapping[str, Any], copies: int) -> int:
    """Return the bytes of ``kv_cache_config.host_cache_size`` on all GPUs of all ``copies`` of the
    model; 0 where the arguments leave the size to TensorRT-LLM, which takes what there is."""
    cache = args.get("kv_cache_config") or {}
    each = int(cache.get("host_cache_size") or 0)
    return each * int(args.get("tensor_parallel_size") or 1) * copies


def short_of(args: Mapping[str, Any], *, copies: int, available: int) -> str | None:
    """Return why ``available`` bytes do not hold the pinned memory, with the way out; None where
    they do."""
    needed = pinned_bytes(args, copies)
    if needed <= available:
        return None
    return (
        f"{needed / 2**30:.1f} GiB of pinned host memory for all GPUs, {available / 2**30:.1f} GiB "
        "are available: give the container or the machine more memory, start fewer copies, or "
        "build again with fewer --slots or a smaller --max-total-tokens"
    )


def lock_limit() -> int | None:
    """Return the bytes that this process may lock; None for no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or _may_lock_all():
        return None
    return soft


def _may_lock_all() -> bool:
    for line in _STATUS.read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_IPC_LOCK & 1)
    return False
