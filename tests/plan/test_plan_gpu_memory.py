"""What a GPU holds: against TensorRT-LLM's published rules, and what holds for any GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gemma4_build.trtllm.bytes_needed import COMPUTE_BYTES, KV_ITEM, kv_shape, plan_rank
from gemma4_plan.catalog import Card, read_catalog
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.gpu_memory import DEFAULT_SLOTS, GpuMemory, Split, plan_gpu
from gemma4_plan.model import published_model
from gemma4_plan.overhead import graph_sizes, overhead
from gemma4_plan.span import Span
from gemma4_runtime.trtllm.kv_memory import (
    GEMMA4_26B_KV,
    Blocks,
    block_bytes,
    held_requests,
    request_blocks,
    request_bytes,
    step_blocks,
)
from gemma4_runtime.trtllm.presets import FREE_MEMORY, PRESETS, compose, step_tokens
from hypothesis import given, settings
from hypothesis import strategies as st

CARDS = read_catalog().gpus
LENGTHS = st.integers(2, 262_144)
SLOTS = st.integers(1, 2048)


def plan(card: Card, *, precision: str = "bf16", tokens: int = 8192, **more: Any) -> GpuMemory:
    options = {"slots": more.pop("slots", None), "preset": more.pop("preset", "throughput")}
    split = Split(precision=precision, **more)  # type: ignore[arg-type]
    return plan_gpu("x", card, split, tokens=(tokens,), **options)


def sized(gigabytes: int, sm: int = 90) -> Card:
    return Card(product="X", sm=sm, memory_gb=gigabytes)


def test_the_model_is_the_one_that_arguments_are_written_for() -> None:
    assert kv_shape(published_model()) == GEMMA4_26B_KV


@pytest.mark.parametrize("tp", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("precision", KV_ITEM)
def test_one_size_of_the_kv_cache(precision: str, tp: int) -> None:
    """The build's plan, the arguments' host memory and this plan have the same bytes."""
    rank = plan_rank(published_model(), precision, tp=tp, ep=tp)
    block = block_bytes(element_bytes=KV_ITEM[precision], tp=tp)
    assert block == Blocks(rank.kv_sliding_per_token, rank.kv_full_per_token) * 32
    assert request_bytes(32, element_bytes=KV_ITEM[precision], tp=tp) == block.total


@given(tokens=LENGTHS, longer=LENGTHS)
def test_sliding_layers_stop_growing_at_the_window(tokens: int, longer: int) -> None:
    first, second = sorted((tokens, longer))
    each = [request_bytes(n, element_bytes=2, tp=1) for n in (first, second)]
    assert each[0] <= each[1]
    if first >= 1088:
        assert each[1] - each[0] == (-(-second // 32) - -(-first // 32)) * 32 * 20_480
    # At least the values that attention may read.
    assert each[1] >= min(second, 1024) * 204_800 + second * 20_480


@given(pool=st.integers(0, 2 * 10**11), tokens=LENGTHS, slots=SLOTS)
def test_held_requests_have_their_blocks(pool: int, tokens: int, slots: int) -> None:
    """Both kinds of layers get their part of the pool and hold that many requests, and not one
    more."""
    size = block_bytes(element_bytes=1, tp=1)
    count = held_requests(pool, tokens, slots=slots, step_tokens=8192, element_bytes=1, tp=1)
    parts = step_blocks(slots, tokens, step_tokens=8192).by(size)
    each = request_blocks(tokens).by(size)
    shares = [(parts.sliding, each.sliding), (parts.full, each.full)]

    def holds(number: int) -> bool:
        return all(number * need * parts.total <= pool * part for part, need in shares)

    assert holds(count) and not holds(count + 1)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_pool_is_the_presets_fraction_of_what_is_free(preset: Any) -> None:
    """(device total - peak) * fraction, which TensorRT-LLM logs (KvCacheCreator)."""
    found = plan(CARDS["h200"], preset=preset, slots=8)
    args = compose(
        preset, precision="bf16", tp=1, ep=1, attention_dp=False, slots=8, max_total_tokens=8192
    )
    assert args["kv_cache_config"]["free_gpu_memory_fraction"] == FREE_MEMORY[preset]
    assert args["max_num_tokens"] == step_tokens(preset, slots=8)
    peak = found.rank.weights + found.overhead.runtime.high + found.overhead.activations.high
    total = found.card.memory_bytes
    assert found.pool.low == pytest.approx((total - peak) * FREE_MEMORY[preset])
    assert found.pool.low + found.left.low + peak == pytest.approx(total)


@pytest.mark.parametrize("precision", KV_ITEM)
def test_the_builds_one_figure_lies_within_the_spans(precision: str) -> None:
    found = overhead(published_model(), precision, tp=1, ep=1, slots=256, step_tokens=8192)
    whole = found.runtime + found.activations + found.graphs
    assert whole.low < COMPUTE_BYTES < whole.high


@settings(deadline=None, max_examples=40)
@given(
    gigabytes=st.integers(20, 300),
    more=st.integers(1, 100),
    tokens=LENGTHS,
    precision=st.sampled_from(("bf16", "fp8", "nvfp4")),
)
def test_more_memory_never_holds_less(
    gigabytes: int, more: int, tokens: int, precision: str
) -> None:
    small, large = (
        plan(sized(size), precision=precision, tokens=tokens)
        for size in (gigabytes, gigabytes + more)
    )
    for end in ("low", "high"):
        counts = [getattr(found.rooms[0].requests, end) for found in (small, large)]
        assert counts[0] <= counts[1]
    assert small.rooms[0].requests.low <= small.rooms[0].requests.high
    four = [plan(sized(size), precision=precision, tokens=tokens, slots=4)
            for size in (gigabytes, gigabytes + more)]  # fmt: skip
    assert four[0].longest.low <= four[1].longest.low
    assert four[0].rooms[0].requests.high <= min(4, four[1].rooms[0].requests.high)


@settings(deadline=None, max_examples=40)
@given(tokens=LENGTHS, precision=st.sampled_from(("bf16", "fp8")), size=st.integers(60, 300))
def test_as_many_as_fit_do_fit(tokens: int, precision: str, size: int) -> None:
    """Built with the slots that a plan gives, all of them are held; with more they are not."""
    found = plan(sized(size), precision=precision, tokens=tokens)
    count = int(found.rooms[0].requests.low)
    if count:
        again = plan(sized(size), precision=precision, tokens=tokens, slots=count)
        assert again.rooms[0].requests.low == count
    if count < 2048:
        beyond = plan(sized(size), precision=precision, tokens=tokens, slots=count + 1)
        assert beyond.rooms[0].requests.low <= count


@settings(deadline=None, max_examples=30)
@given(size=st.integers(55, 300), slots=st.integers(1, 64))
def test_the_longest_request_fits_and_the_next_does_not(size: int, slots: int) -> None:
    found = plan(sized(size), slots=slots)
    longest = int(found.longest.low)
    if longest >= 2:
        assert plan(sized(size), slots=slots, tokens=longest).rooms[0].requests.low >= 1
    if 2 <= longest < 262_144:
        assert plan(sized(size), slots=slots, tokens=longest + 32).rooms[0].requests.low == 0


def test_without_slots_the_longest_is_that_of_a_default_build() -> None:
    card = sized(60)
    assert plan(card).longest == plan(card, slots=DEFAULT_SLOTS).longest


@pytest.mark.parametrize(("slots", "count"), [(1, 1), (4, 3), (7, 4), (128, 19), (256, 20)])
def test_graphs(slots: int, count: int) -> None:
    sizes = graph_sizes(slots)
    assert len(sizes) == count and sizes[-1] == slots


def test_activations_grow_with_the_step_and_the_batch() -> None:
    def beside(**more: int) -> Span:
        sizes = {"tp": 1, "ep": 1, "slots": 64, "step_tokens": 8192} | more
        return overhead(published_model(), "bf16", **sizes).activations

    for more in ({"step_tokens": 16384}, {"slots": 256}):
        assert beside().low <= beside(**more).low
        assert beside().high < beside(**more).high
    assert beside(tp=2).high < beside().high
    # The largest known: what comes out of the experts, 8192 tokens times 8 experts each.
    assert beside().high > 2 * 8192 * 8 * 2816 * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tp": 4}, r"--tp 4 --ep 1: fp8 experts 176 wide.*use --ep 4, or --pad-experts"),
        ({"tp": 3}, "16 attention heads"),
        ({"tp": 4, "ep": 3}, "--ep must divide --tp"),
    ],
)
def test_splits_that_nothing_loads(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadQuestionError, match=words):
        replace(Split(precision="fp8"), **change).check()


def test_padding_makes_a_split_possible_and_larger() -> None:
    padded = plan(CARDS["h200"], precision="fp8", tp=4, pad=True)
    halved = plan(CARDS["h200"], precision="fp8", tp=4, ep=4)
    assert padded.rank.experts > halved.rank.experts
