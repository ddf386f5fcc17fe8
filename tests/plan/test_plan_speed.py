"""The roofline: its work by hand, its properties, and its fit to what others measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gemma4_plan.catalog import Figure, read_catalog
from gemma4_plan.gpu_memory import Split, rank_of
from gemma4_plan.model import published_model
from gemma4_plan.speed.copy_pace import CopyPace
from gemma4_plan.speed.fitted import read_fitted
from gemma4_plan.speed.fitting import (
    Decode,
    error_factor,
    fitted,
    held_out,
    measured_ms,
    predicted_decode,
    predicted_prefill,
    read_measurements,
)
from gemma4_plan.speed.pace import missing_figure, seconds
from gemma4_plan.speed.work import Step, Work, work_of
from hypothesis import given, settings
from hypothesis import strategies as st

CATALOG, POINTS, FITTED = read_catalog(), read_measurements(), read_fitted()
RANKABLE = [
    (gpu, precision)
    for gpu, card in CATALOG.gpus.items()
    for precision in ("bf16", "fp8", "nvfp4")
    if not missing_figure(card, precision)
]


def work(precision: Any = "bf16", *, tp: int = 1, routing: float = 1.0, **step: float) -> Work:
    values = {"decode": 1.0, "context": 0.0} | step
    rank = rank_of(Split(precision=precision, tp=tp, ep=tp))
    return work_of(published_model(), rank, Step(**values), tp=tp, routing=routing)


def pace(gpu: str = "h200", precision: Any = "bf16", tp: int = 1, **more: Any) -> CopyPace:
    values: dict[str, Any] = {"prompt": 1024, "output": 512, "card": CATALOG.gpus[gpu], **more}
    split = Split(precision=precision, tp=tp, ep=tp)
    return CopyPace(name=gpu, split=split, fitted=FITTED, **values)


def test_one_token_reads_the_active_weights() -> None:
    """8 of 128 experts, attention with a second copy of full layers' K, dense MLPs, head, router."""
    experts, dense, head = 2_854_748_160, 3_312_693_760, 1_476_395_008
    copies, router = 5 * 1024 * 2816 * 2, 30 * 128 * 2816 * 2
    assert work().read == pytest.approx(
        experts + dense + copies + head + router - 7_000_000, rel=3e-3
    )
    assert 7.6e9 < work().read < 7.75e9


def test_one_token_computes_the_active_weights_twice() -> None:
    """3.82 * 10^9 active weights, as published, norms apart."""
    found = work()
    assert found.expert_flops + found.other_flops == pytest.approx(2 * 3_822_530_590, rel=1e-3)


def test_experts_that_a_batch_touches() -> None:
    """16 tokens that choose 8 of 128 by chance touch 128 * (1 - (15/16)^16) = 82.4 of them."""
    rank = rank_of(Split(precision="bf16"))
    share = (work(decode=16).read - work().read) / rank.experts
    assert share == pytest.approx((1 - (15 / 16) ** 16) - 1 / 16)
    assert work(decode=16, routing=0.5).read < work(decode=16).read
    assert work(decode=1e6).read - work().read == pytest.approx(rank.experts * 15 / 16)


def test_the_cache_is_read_up_to_the_window() -> None:
    grown = [work(context=n).read - work().read for n in (512, 1024, 8192)]
    assert grown == [512 * 225_280, 1024 * 225_280, 1024 * 204_800 + 8192 * 20_480]


def test_a_prompt_does_the_attention_of_half_its_length() -> None:
    spec, tokens = published_model(), 4096
    found = work(decode=0, prefill=tokens, prompt=tokens)
    again = work(decode=0, prefill=tokens, prompt=0)
    full = 5 * 16 * 512 * tokens / 2
    sliding = 25 * 16 * 256 * 1024
    assert found.other_flops - again.other_flops == 4 * tokens * (full + sliding)
    assert spec.heads == 16


def test_only_several_gpus_send() -> None:
    assert work().sent == 0 and work().messages == 0
    two = work(tp=2, decode=8)
    assert two.messages == 60 and two.sent == 60 * 8 * 2816 * 2


@settings(deadline=None, max_examples=60)
@given(
    option=st.sampled_from(RANKABLE),
    prompt=st.integers(1, 100_000),
    output=st.integers(1, 10_000),
    streams=st.integers(1, 255),
    tp=st.sampled_from((1, 2, 4)),
)
def test_never_faster_with_more_to_do(
    option: tuple[str, str], prompt: int, output: int, streams: int, tp: int
) -> None:
    """More streams, longer prompts and a slower memory never make a step shorter."""
    gpu, precision = option
    here = pace(gpu, precision, tp, prompt=prompt, output=output)
    assert here.itl(streams) <= here.itl(streams + 1)
    assert here.ttft(streams) <= here.ttft(streams + 1) * (1 + 1e-9)
    longer = replace(here, prompt=prompt + 1000)
    assert here.itl(streams) <= longer.itl(streams)
    assert here.ttft(streams) <= longer.ttft(streams) * (1 + 1e-9)
    speed = here.card.bandwidth_gbs
    assert speed is not None
    slower = here.card.model_copy(
        update={"bandwidth_gbs": Figure(value=speed.value / 2, source="test", date="2026")}
    )
    assert here.itl(streams) <= replace(here, card=slower).itl(streams)
    assert here.tokens_per_s(streams) == pytest.approx(streams / here.itl(streams))


@pytest.mark.parametrize(("gpu", "precision"), RANKABLE)
def test_fewer_bytes_are_not_slower_at_one_stream(gpu: str, precision: str) -> None:
    assert pace(gpu, precision).itl(1) <= pace(gpu, "bf16").itl(1)


def test_a_missing_figure_is_named() -> None:
    assert missing_figure(CATALOG.gpus["l4"], "bf16") == "bandwidth_gbs"
    assert missing_figure(CATALOG.gpus["h200"], "nvfp4") == "tflops.nvfp4"
    assert missing_figure(CATALOG.gpus["h200"], "fp8") == ""


def test_the_fit_is_that_of_the_measurements() -> None:
    found = fitted(POINTS, CATALOG).model_dump()
    for key, value in FITTED.model_dump().items():
        assert found[key] == (value if key == "gpus" else pytest.approx(value, rel=0.02)), key


def test_points_that_were_never_fitted() -> None:
    """Seven decode steps, four of them on a GPU of which nothing was fitted."""
    unseen = [point for point in POINTS.decode if not point.fit]
    assert len(unseen) == 7 and {p.gpu for p in unseen} - set(FITTED.gpus) == {"rtx-5090"}
    for point in unseen:
        ratio = predicted_decode(point, CATALOG, FITTED.efficiency) / point.step_ms
        assert 0.9 < ratio < 1.25, point


@pytest.mark.parametrize("whole_gpus", [False, True])
def test_nine_of_ten_lie_within_the_stated_error(whole_gpus: bool) -> None:
    found = held_out(POINTS, CATALOG, whole_gpus=whole_gpus)
    for kind, names in ((Decode, ("decode_error", "decode_error_elsewhere")),):
        pairs = [pair for pair in found if isinstance(pair[0], kind)]
        factor = getattr(FITTED, names[whole_gpus])
        inside = [1 / factor <= p / measured_ms(point) <= factor for point, p in pairs]
        assert sum(inside) >= 0.85 * len(inside)
    assert error_factor([(POINTS.decode[0], POINTS.decode[0].step_ms * 2)]) == pytest.approx(2)


def test_an_unknown_gpu_has_the_wider_error() -> None:
    assert FITTED.errors("b200") > FITTED.errors("h200")
    assert FITTED.errors("rtx-5090") == FITTED.errors("b200")


def test_prefill_of_the_queue() -> None:
    point = next(p for p in POINTS.prefill if p.queue == 10)
    alone = point.model_copy(update={"queue": 1})
    whole, one = (predicted_prefill(p, CATALOG, FITTED.efficiency) for p in (point, alone))
    assert whole == pytest.approx(5.5 * one)


def test_reading_and_computing_overlap() -> None:
    efficiency = replace(FITTED.efficiency, launch_s=0.0)
    both = work(decode=64, context=4096)
    card = CATALOG.gpus["h200"]
    parts = [
        seconds(replace(both, read=0.0), card, "bf16", efficiency),
        seconds(replace(both, expert_flops=0.0, other_flops=0.0), card, "bf16", efficiency),
    ]
    assert seconds(both, card, "bf16", efficiency) == max(parts)
