"""What doctor says of the pinned host memory that an engine's arguments name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.trtllm import llm_args
from gemma4_serve.doctor import engine
from gemma4_serve.doctor.report import Result

GIB = 2**30


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*, available: int = 1000 * GIB, lock: int | None = None, **changes: Any) -> Result:
        monkeypatch.setattr(engine, "available_memory", lambda: available)
        monkeypatch.setattr(engine, "lock_limit", lambda: lock)
        args = llm_args.compose(
            "throughput", precision="bf16", tp=1, ep=1, attention_dp=False, slots=64,
            max_total_tokens=8192,
        )  # fmt: skip
        cache = args["kv_cache_config"] | changes
        args["kv_cache_config"] = {k: v for k, v in cache.items() if v is not ...}
        llm_args.write(tmp_path / llm_args.FILE_NAME, args)
        return engine._host_cache(tmp_path)

    return run


def test_as_it_is_written(check: Any) -> None:
    assert check() == Result("host cache", "ok", "24.6 GiB of pinned memory")


@pytest.mark.parametrize(
    ("changes", "least"),
    [
        ({"host_cache_size": 0}, "24.3 GiB"),
        ({"avg_seq_len": ...}, "61.3 GiB"),
        ({"avg_seq_len": 2048}, "GiB"),
    ],
)
def test_too_little_for_the_longest_requests(
    check: Any, changes: dict[str, Any], least: str
) -> None:
    found = check(**changes)
    assert found.level == "warn" and least in found.detail
    assert "avg_seq_len" in found.way_out and "--gpu" in found.way_out


def test_a_size_left_to_tensorrt_llm(check: Any) -> None:
    assert check(host_cache_size=...).level == "ok"


def test_a_machine_without_that_memory(check: Any) -> None:
    found = check(available=20 * GIB)
    assert found.level == "fail" and "20.0 GiB are available" in found.detail


def test_a_limit_on_locked_memory(check: Any) -> None:
    found = check(lock=65536)
    assert found.level == "warn" and "ulimit -l" in found.way_out
