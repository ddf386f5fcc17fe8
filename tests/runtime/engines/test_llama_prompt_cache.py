"""Prompts that no slot holds any more take the memory that they may, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.base import Engine
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.engines.llama_cpp.prompt_cache import prompt_cache_mib
from gemma4_runtime.manifest import MemoryNeed, read_manifest
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.fakes.engine_harness import ask
from hypothesis import given
from hypothesis import strategies as st

MIB = 2**20
PROMPTS = 400


@pytest.fixture
def engine(checkpoint: Path, table: TokenTable, tmp_path: Path) -> Iterator[Engine]:
    folder = tmp_path / "e"
    request = BuildRequest(
        checkpoint=checkpoint, out=folder, precision="f32", slots=2, max_total_tokens=256,
        skip_verify=True,
    )  # fmt: skip
    build_engine(request, SilentReporter())
    made = create_engine(folder, read_manifest(folder), table, Settings(folder, tmp_path))
    yield made
    made.close()


def anonymous_mb() -> float:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1000


def test_400_different_prompts_leave_little(engine: Engine) -> None:
    """Each leaves 0.24 MB where llama.cpp may keep it. The slots' own KV cache has 4 MiB, and so
    much may be kept."""
    random = Random(1)

    def some(count: int) -> None:
        for _ in range(count):
            ids = [2, *(random.randrange(400, 3000) for _ in range(60))]
            ask(engine, ids, key=f"{random.random()}", max_tokens=2).wait()

    some(40)
    before = anonymous_mb()
    some(PROMPTS)
    assert anonymous_mb() - before < 0.24 * PROMPTS / 4


@given(
    st.integers(0, 2**36), st.integers(0, 2**18), st.integers(0, 2**16), st.integers(1, 64),
    st.integers(1, 2**17), st.integers(0, 2**40),
)  # fmt: skip
def test_it_fits_beside_what_the_start_checked(
    weights: int, sliding: int, full: int, slots: int, tokens: int, available: int
) -> None:
    need = MemoryNeed(
        weight_bytes=weights, kv_bytes_per_token_sliding=sliding, kv_bytes_per_token_full=full,
        sliding_cells=1280, compute_bytes=2**28,
    )  # fmt: skip
    found = prompt_cache_mib(need, slots=slots, max_total_tokens=tokens, available=available)
    total = need.total(slots=slots, max_total_tokens=tokens)
    assert found >= 0
    assert found == 0 or total + found * MIB <= available
    one = prompt_cache_mib(need, slots=slots, max_total_tokens=tokens, available=2 * total + 2**50)
    assert one * MIB <= total - need.total(slots=0, max_total_tokens=tokens) < (one + 1) * MIB
