"""The arguments that are written keep TensorRT-LLM's scheduler from a deadlock, by the double's
pool, which divides memory between sliding and full layers as KVCacheManagerV2 does."""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from gemma4_runtime.trtllm.kv_memory import least_host_bytes, request_blocks, request_bytes
from gemma4_runtime.trtllm.presets import PRESETS, Preset, compose
from gemma4_testing.engine_folders.trtllm_folder import DOUBLES

SIZES = [(2, 1025), (3, 4096), (8, 4096), (64, 2048), (64, 8192), (64, 32768), (256, 4096)]


@pytest.fixture(scope="module")
def double() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOUBLES))
        yield importlib.import_module("tensorrt_llm.kv_pool")
    for name in [n for n in sys.modules if n.split(".")[0] == "tensorrt_llm"]:
        del sys.modules[name]


def made(
    slots: int, tokens: int, *, preset: Preset = "throughput", precision: str = "bf16", tp: int = 1
) -> dict[str, Any]:
    args = compose(
        preset, precision=precision, tp=tp, ep=1, attention_dp=False, slots=slots,
        max_total_tokens=tokens,
    )  # fmt: skip
    # As the double gets them, with TensorRT-LLM's defaults.
    args["kv_cache_config"] |= {"use_kv_cache_manager_v2": "auto"}
    return args


def end(double: Any, monkeypatch: pytest.MonkeyPatch, args: dict[str, Any]) -> str | None:
    """Fill all slots to the longest request, on a pool that holds one."""
    monkeypatch.setenv("TRTLLM_DOUBLE_KV_TOKENS", str(args["max_seq_len"] + 31))
    pool = double.KvPool(args)
    for tokens in (1, 1024, 2049, args["max_seq_len"]):
        for slot in range(args["max_batch_size"]):
            found: str | None = pool.grow(str(slot), min(tokens, args["max_seq_len"]))
            if found is not None:
                return found
    return None


@pytest.mark.parametrize(("precision", "tp"), [("bf16", 1), ("bf16", 4), ("fp8", 2), ("fp8", 8)])
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("slots", "tokens"), SIZES)
def test_never_a_deadlock(
    double: Any, monkeypatch: pytest.MonkeyPatch, slots: int, tokens: int, preset: Preset,
    precision: str, tp: int,
) -> None:  # fmt: skip
    args = made(slots, tokens, preset=preset, precision=precision, tp=tp)
    assert end(double, monkeypatch, args) is None
    assert args["kv_cache_config"]["host_cache_size"] >= least_host_bytes(args)


@pytest.mark.parametrize(("slots", "tokens"), [(8, 4096), (64, 8192), (64, 32768), (256, 4096)])
def test_bytes_alone_are_not_enough(
    double: Any, monkeypatch: pytest.MonkeyPatch, slots: int, tokens: int
) -> None:
    """Host memory for all requests but one, divided as TensorRT-LLM does without a length."""
    args = made(slots, tokens)
    bytes_of_all = (slots - 1) * request_bytes(tokens, element_bytes=2, tp=1)
    args["kv_cache_config"] |= {"avg_seq_len": None, "host_cache_size": bytes_of_all}
    assert "deadlock" in (end(double, monkeypatch, args) or "")
    assert least_host_bytes(args) > 1.6 * bytes_of_all
    args["kv_cache_config"]["host_cache_size"] = round(1.02 * least_host_bytes(args))
    assert end(double, monkeypatch, args) is None


@pytest.mark.parametrize(("average", "tokens"), [(1025, 8192), (2048, 8192), (4096, 32768)])
def test_a_shorter_average_needs_more(
    double: Any, monkeypatch: pytest.MonkeyPatch, average: int, tokens: int
) -> None:
    args = made(64, tokens)
    shorter = copy.deepcopy(args)
    shorter["kv_cache_config"]["avg_seq_len"] = average
    assert least_host_bytes(shorter) > 1.2 * least_host_bytes(args)
    assert "deadlock" in (end(double, monkeypatch, shorter) or "")
    shorter["kv_cache_config"]["host_cache_size"] = round(1.02 * least_host_bytes(shorter))
    assert end(double, monkeypatch, shorter) is None


def test_one_slot_needs_none(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    args = made(1, 8192)
    assert args["kv_cache_config"]["host_cache_size"] == least_host_bytes(args) == 0
    assert end(double, monkeypatch, args) is None


def test_attention_data_parallelism_keeps_whole_requests() -> None:
    args = compose(
        "latency", precision="bf16", tp=4, ep=4, attention_dp=True, slots=8, max_total_tokens=4096
    )
    alone = made(8, 4096, preset="latency")
    assert args["kv_cache_config"]["host_cache_size"] == alone["kv_cache_config"]["host_cache_size"]
    assert least_host_bytes(args) == least_host_bytes(alone)


@pytest.mark.parametrize("tokens", [1, 31, 32, 33, 1024, 1025, 1056, 1057, 5000, 8191, 8192])
def test_blocks_of_a_request_are_an_upper_bound(double: Any, tokens: int) -> None:
    exact, most = double.live(tokens), request_blocks(tokens)
    assert exact.full == most.full and exact.sliding <= most.sliding <= exact.sliding + 2
