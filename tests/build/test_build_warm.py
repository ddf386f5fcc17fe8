"""The warm-up: every batch size runs, and what it measures is what happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gemma4_build.errors import WarmUpError
from gemma4_build.warm import batch_sizes, warm_up
from gemma4_runtime.engines.synthetic import Faults, SyntheticEngine
from gemma4_runtime.engines.tensorrt_llm.caches import cache_environment, cache_folder


def engine(**options: Any) -> SyntheticEngine:
    return SyntheticEngine(
        slots=4, max_queued=0, max_total_tokens=400, vocab_size=2000,
        special_ids=frozenset(range(500)), interval_s=0.002, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("slots", "sizes"),
    [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (128, [1, 2, 4, 8, 16, 32, 64, 128])],
)
def test_sizes(slots: int, sizes: list[int]) -> None:
    assert batch_sizes(slots) == sizes


def test_figures() -> None:
    made = engine(prefill_s_per_1k=0.4)
    found = warm_up(made, sizes=[1, 4], first_id=600, gpu="", max_total_tokens=400)
    assert made.stats().finished == 2 * (1 + 4) and made.stats().failed == 0
    assert found.prompt_tokens == 128 and found.answer_tokens == 64
    assert found.ttft_s > 0.4 * 0.128
    # 51 ms of prefill and 64 tokens 2 ms apart: no batch can be faster than 359 tokens/s a stream.
    assert 0 < found.tokens_per_s[1] < 359
    assert 0 < found.tokens_per_s[4] < 4 * 359
    made.close()


def test_short_limits() -> None:
    made = engine()
    found = warm_up(made, sizes=[1], first_id=600, gpu="x", max_total_tokens=20)
    assert (found.prompt_tokens, found.answer_tokens, found.gpu) == (10, 10, "x")
    made.close()


def test_a_broken_engine_is_an_error() -> None:
    made = engine(faults=Faults(fail_at=3))
    with pytest.raises(WarmUpError, match="synthetic fault at token 3"):
        warm_up(made, sizes=[1], first_id=600, gpu="", max_total_tokens=400)
    made.drain()
    with pytest.raises(WarmUpError, match="refused"):
        warm_up(made, sizes=[1], first_id=600, gpu="", max_total_tokens=400)
    made.close()


def test_caches_are_kept_apart(tmp_path: Path) -> None:
    key = {
        "version": "1.3.0rc29",
        "gpu": "NVIDIA H100 80GB HBM3",
        "precision": "fp8",
        "tp": 1,
        "ep": 1,
    }
    one = cache_folder(tmp_path, **key)
    assert one.parent == tmp_path and one.name.startswith("1.3.0rc29-nvidia-h100-80gb-hbm3-")
    for name, value in {
        "version": "1.3.0rc30",
        "gpu": "NVIDIA H200",
        "precision": "bf16",
        "tp": 2,
        "ep": 2,
    }.items():
        assert cache_folder(tmp_path, **key | {name: value}) != one
    assert cache_folder(tmp_path, **key) == one
    assert all(value.startswith(str(one)) for value in cache_environment(one).values())
