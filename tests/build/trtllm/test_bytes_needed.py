"""Sizes of the full model from its configuration alone: no weights, no GPU."""

from __future__ import annotations

import pytest
from gemma4_build.errors import BadOptionError
from gemma4_build.model_spec import ModelSpec, parse_config
from gemma4_build.random_checkpoint import PRESETS, config_for
from gemma4_build.trtllm.bytes_needed import COMPUTE_BYTES, build_need, plan_rank
from gemma4_build.trtllm.formats import (
    FP8,
    INT4,
    NVFP4_EXPERTS,
    NVFP4_MLP,
    checkpoint_parts,
    linears,
    total_bytes,
)
from gemma4_build.trtllm.widths import Widths, check_split, padded, widths
from gemma4_runtime.trtllm.recommended import NEEDED_GB

EXPERTS = 22_837_985_280
DENSE_MLP = 30 * 3 * 2112 * 2816
V_COPIES = 5 * 1024 * 2816 * 2
"""Full layers' K matrices, which TensorRT-LLM loads as V too."""


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    return parse_config(config_for(PRESETS["26b"], 262144), where="26b")


def test_the_published_checkpoint(spec: ModelSpec) -> None:
    parts = list(checkpoint_parts(spec, None))
    assert len(parts) == 1013
    assert total_bytes(spec, None) == 51_611_872_412


def test_quantized_names_and_types(spec: ModelSpec) -> None:
    parts = {part.name: part for part in checkpoint_parts(spec, NVFP4_EXPERTS)}
    experts = [name for name in parts if ".experts." in name]
    assert len(experts) == 30 * 128 * 3 * 4
    down = "model.language_model.layers.29.experts.127.down_proj"
    found = {
        name.removeprefix(down + "."): parts[name] for name in experts if name.startswith(down)
    }
    assert {n: (p.dtype, p.shape) for n, p in found.items()} == {
        "weight": ("U8", (2816, 352)),
        "weight_scale": ("F8_E4M3", (2816, 44)),
        "weight_scale_2": ("F32", ()),
        "input_scale": ("F32", ()),
    }
    assert "model.language_model.layers.5.self_attn.v_proj.weight" not in parts
    assert parts["model.language_model.layers.0.router.proj.weight"].dtype == "BF16"


def test_sizes_of_the_formats(spec: ModelSpec) -> None:
    bf16, scales = total_bytes(spec, None), 30 * 128 * 3 * 8
    block = EXPERTS // 16
    assert total_bytes(spec, NVFP4_EXPERTS) == bf16 - 2 * EXPERTS + EXPERTS // 2 + block + scales
    assert round(total_bytes(spec, NVFP4_EXPERTS) / 1e9, 1) == 18.8  # as NVIDIA's published one
    saved = total_bytes(spec, NVFP4_EXPERTS) - total_bytes(spec, NVFP4_MLP)
    assert saved == 2 * DENSE_MLP - DENSE_MLP // 2 - DENSE_MLP // 16 - 30 * 3 * 8
    quantized = sum(linear.size for linear in linears(spec))
    assert total_bytes(spec, FP8) == bf16 - quantized + 8 * len(list(linears(spec)))
    wide = Widths(768, 2176).apply(spec)
    assert total_bytes(wide, INT4) < total_bytes(spec, NVFP4_MLP)


@pytest.mark.parametrize("precision", ["bf16", "fp8", "nvfp4"])
def test_one_gpu_holds_the_checkpoint(precision: str, spec: ModelSpec) -> None:
    scheme = {"bf16": None, "fp8": FP8, "nvfp4": NVFP4_EXPERTS}[precision]
    copies = {"bf16": V_COPIES, "fp8": V_COPIES // 2 + 5 * 8, "nvfp4": V_COPIES}[precision]
    plan = plan_rank(spec, precision)
    assert plan.weights == total_bytes(spec, scheme) + copies
    parts = plan.experts + plan.dense + plan.attention + plan.embedding + plan.other
    assert plan.weights == parts


@pytest.mark.parametrize("precision", ["bf16", "fp8", "nvfp4", "int4"])
def test_more_gpus_hold_less_each(precision: str, spec: ModelSpec) -> None:
    one, two, four = (plan_rank(spec, precision, tp=n, ep=n) for n in (1, 2, 4))
    assert one.weights > two.weights > four.weights > one.weights / 4
    assert two.experts * 2 == one.experts
    assert four.other == one.other
    assert two.kv_full_per_token * 2 == one.kv_full_per_token
    assert four.kv_full_per_token == two.kv_full_per_token  # 2 heads, copied
    assert four.kv_sliding_per_token * 4 == one.kv_sliding_per_token


@pytest.mark.parametrize("precision", NEEDED_GB)
def test_what_the_doctor_recommends_fits(precision: str, spec: ModelSpec) -> None:
    need = (plan_rank(spec, precision).weights + COMPUTE_BYTES) / 1e9
    assert need <= NEEDED_GB[precision] < need + 1  # type: ignore[index]


def test_kv_cache(spec: ModelSpec) -> None:
    plan = plan_rank(spec, "bf16")
    assert (plan.kv_sliding_per_token, plan.kv_full_per_token) == (204_800, 20_480)
    half = plan_rank(spec, "fp8")
    assert (half.kv_sliding_per_token, half.kv_full_per_token) == (102_400, 10_240)


def test_splits(spec: ModelSpec) -> None:
    for precision, scheme in (("bf16", None), ("fp8", FP8), ("nvfp4", NVFP4_EXPERTS)):
        for tp, ep in ((1, 1), (2, 2), (4, 4)):
            check_split(spec, precision, scheme, tp=tp, ep=ep)
    check_split(spec, "fp8", FP8, tp=2, ep=1)
    with pytest.raises(
        BadOptionError, match=r"352 wide.*multiple of 64.*--ep 2, or --pad.*704 -> 768"
    ):
        check_split(spec, "nvfp4", NVFP4_EXPERTS, tp=2, ep=1)
    for tp, ep, words in (
        (3, 1, "16 attention heads"),
        (4, 1, r"176 wide.* multiple of 32; use --ep 4, or --pad-experts .*704 -> 768"),
        (8, 8, r"dense MLP 264 wide.* multiple of 16"),
    ):
        with pytest.raises(BadOptionError, match=words):
            check_split(spec, "fp8", FP8, tp=tp, ep=ep)
    with pytest.raises(BadOptionError, match="128 experts"):
        check_split(spec, "bf16", None, tp=16, ep=3)


def test_padded_widths(spec: ModelSpec) -> None:
    assert padded(spec, "int4", INT4, tp=1, ep=1) == Widths(768, 2176)
    assert padded(spec, "int4", INT4, tp=2, ep=1) == Widths(768, 2304)
    assert padded(spec, "fp8", FP8, tp=4, ep=1) == Widths(768, 2112)
    assert padded(spec, "nvfp4", NVFP4_EXPERTS, tp=8, ep=1) == Widths(1024, 2112)
    assert padded(spec, "nvfp4", NVFP4_EXPERTS, tp=4, ep=1) == Widths(768, 2112)
    assert padded(spec, "fp8", FP8, tp=2, ep=1) == widths(spec)


def test_needs_of_a_build(spec: ModelSpec) -> None:
    plain, fp8 = build_need(spec, "bf16"), build_need(spec, "fp8")
    assert (plain.output_bytes, plain.quantize) == (51_611_872_412, None)
    assert fp8.output_bytes == total_bytes(spec, FP8)
    assert fp8.quantize is not None
    assert fp8.scratch_bytes == fp8.quantize.states == 2 * 2 * 64 * 512 * 2816
    assert 4e9 < fp8.quantize.host < fp8.quantize.gpu < 8e9
    int4 = build_need(spec, "int4", to=Widths(768, 2176))
    assert int4.quantize is not None
    padding = total_bytes(Widths(768, 2176).apply(spec), None)
    assert int4.scratch_bytes == padding + int4.quantize.states
