"""Pinned host memory: what a start names, and what the machine has."""

from __future__ import annotations

import resource

import pytest
from gemma4_runtime.trtllm import host_memory
from gemma4_runtime.trtllm.host_memory import pinned_bytes, short_of
from gemma4_runtime.trtllm.kv_memory import host_cache_bytes
from gemma4_runtime.trtllm.presets import compose

GIB = 2**30


def made(tp: int) -> dict[str, object]:
    return compose(
        "throughput", precision="bf16", tp=tp, ep=1, attention_dp=False, slots=64,
        max_total_tokens=8192,
    )  # fmt: skip


@pytest.mark.parametrize(("tp", "copies"), [(1, 1), (2, 1), (1, 2), (2, 3)])
def test_every_gpu_of_every_copy_pins_its_own(tp: int, copies: int) -> None:
    each = host_cache_bytes(64, 8192, step_tokens=8192, element_bytes=2, tp=tp)
    needed = each * tp * copies
    assert pinned_bytes(made(tp), copies) == needed > 0
    assert short_of(made(tp), copies=copies, available=needed) is None
    said = short_of(made(tp), copies=copies, available=needed - 1)
    assert said is not None and f"{needed / GIB:.1f} GiB of pinned" in said and "--slots" in said


@pytest.mark.parametrize("cache", [None, {}, {"host_cache_size": None}, {"host_cache_size": 0}])
def test_a_size_left_to_tensorrt_llm_needs_nothing(cache: dict[str, object] | None) -> None:
    assert short_of({"kv_cache_config": cache}, copies=1, available=0) is None


def test_the_capability_lifts_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda number: (65536, 65536))
    monkeypatch.setattr(host_memory, "_may_lock_all", lambda: False)
    assert host_memory.lock_limit() == 65536
    monkeypatch.setattr(host_memory, "_may_lock_all", lambda: True)
    assert host_memory.lock_limit() is None
