"""Bytes per GPU and bytes of a build, from the model's sizes alone: no weights, no GPU.

Names and sizes are the checkpoint's; how they are cut is TensorRT-LLM's Gemma 4 (PyTorch backend):
query heads and the MLPs by ``tp``, experts by ``ep`` and then by width, the embedding (also the
output matrix) by vocabulary; router, norms and the vision tower on every GPU. Key/value heads are
copied where there are fewer than GPUs, and a full layer's K matrix is loaded as V too.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from gemma4_runtime.trtllm.kv_memory import KvShape

from gemma4_build.gpu_options import CALIBRATION_LENGTH, CALIBRATION_SAMPLES
from gemma4_build.model_spec import ModelSpec
from gemma4_build.tensor_table import EMBEDDING, checkpoint_tensors
from gemma4_build.trtllm.formats import (
    FP8,
    INT4,
    NVFP4_EXPERTS,
    NVFP4_MLP,
    Linear,
    Scheme,
    linear_parts,
    linears,
    total_bytes,
)
from gemma4_build.trtllm.layerwise.need import QuantizeNeed, quantize_need
from gemma4_build.trtllm.widths import Widths, padded, widths

__all__ = ["BuildNeed", "RankPlan", "build_need", "kv_shape", "plan_rank", "scheme_for"]

KV_ITEM = {"bf16": 2, "fp8": 1, "nvfp4": 1, "int4": 1}
"""Bytes of a cached value: the quantized checkpoints come with an FP8 KV cache."""

COMPUTE_BYTES = 4 << 30
"""Set aside per GPU for CUDA, NCCL, activations and CUDA graphs. An estimate, not measured."""


@dataclass(frozen=True, slots=True)
class RankPlan:
    """Of one GPU, in bytes. ``weights`` is all; the rest are its parts."""

    weights: int
    experts: int
    dense: int
    attention: int
    embedding: int
    other: int
    kv_sliding_per_token: int
    kv_full_per_token: int


@dataclass(frozen=True, slots=True)
class BuildNeed:
    """``output_bytes`` are new bytes of the engine folder, ``scratch_bytes`` those that go away
    before the end, ``quantize`` what quantizing holds at once (None: a few hundred MB)."""

    output_bytes: int
    scratch_bytes: int
    quantize: QuantizeNeed | None


def scheme_for(precision: str, quantize: str = "experts") -> Scheme | None:
    """Return the scheme of a precision; None for bf16."""
    nvfp4 = NVFP4_MLP if quantize == "mlp" else NVFP4_EXPERTS
    return {"bf16": None, "fp8": FP8, "nvfp4": nvfp4, "int4": INT4}[precision]


def plan_rank(
    spec: ModelSpec,
    precision: str,
    *,
    tp: int = 1,
    ep: int = 1,
    quantize: str = "experts",
    pad: bool = False,
) -> RankPlan:
    """Return what one of ``tp`` GPUs holds. int4 is always padded, others with ``pad``."""
    scheme = scheme_for(precision, quantize)
    if pad or precision == "int4":
        spec = padded(spec, precision, scheme, tp=tp, ep=ep).apply(spec)
    sums = {"experts": 0, "mlp": 0, "qkv": 0, "o": 0}
    for linear in linears(spec):
        nbytes = _linear_bytes(linear, scheme)
        if linear.kind == "qkv" and not linear.name.endswith("q_proj"):
            share = _kv_share(spec, linear, nbytes, tp)
            twice = linear.name.endswith("k_proj") and not spec.sliding[_layer(linear)]
            sums["qkv"] += share * (2 if twice else 1)
        else:
            sums[linear.kind] += -(-nbytes // tp)
    other, embedding = 0, 0
    for rule in checkpoint_tensors(spec):
        if rule.name == EMBEDDING:
            embedding = 2 * -(-rule.shape[0] // tp) * rule.shape[1]
        elif rule.kind != "matrix":
            other += 2 * prod(rule.shape)
    attention = sums["qkv"] + sums["o"]
    kv = kv_shape(spec).token_bytes(element_bytes=KV_ITEM[precision], tp=tp)
    return RankPlan(
        weights=sums["experts"] + sums["mlp"] + attention + embedding + other,
        experts=sums["experts"],
        dense=sums["mlp"],
        attention=attention,
        embedding=embedding,
        other=other,
        kv_sliding_per_token=kv.sliding,
        kv_full_per_token=kv.full,
    )


def kv_shape(spec: ModelSpec) -> KvShape:
    """Return what decides the size of the model's KV cache."""
    sliding = sum(spec.sliding)
    return KvShape(
        sliding_layers=sliding,
        sliding_heads=spec.kv_heads,
        sliding_head_dim=spec.head_dim,
        full_layers=spec.layers - sliding,
        full_heads=spec.global_kv_heads,
        full_head_dim=spec.global_head_dim,
        window=spec.window,
    )


def build_need(
    spec: ModelSpec,
    precision: str,
    *,
    quantize: str = "experts",
    to: Widths | None = None,
    tokens: int = CALIBRATION_SAMPLES * CALIBRATION_LENGTH,
    longest: int = CALIBRATION_LENGTH,
) -> BuildNeed:
    """Return what a build needs. ``to`` are the padded widths, if any; ``tokens`` are those of all
    calibration texts, ``longest`` those of the longest. bf16 files are linked, not copied, where
    the file system can; the need counts a copy."""
    wide = spec if to is None else to.apply(spec)
    scheme = scheme_for(precision, quantize)
    if scheme is None:
        return BuildNeed(total_bytes(wide, None), 0, None)
    need = quantize_need(wide, precision, tokens=tokens, longest=longest)
    padding = 0 if to in (None, widths(spec)) else total_bytes(wide, None)
    return BuildNeed(
        output_bytes=total_bytes(wide, scheme),
        # The activations are kept on disk too, and written anew beside the old ones.
        scratch_bytes=padding + need.states,
        quantize=need,
    )


def _linear_bytes(linear: Linear, scheme: Scheme | None) -> int:
    if scheme is None:
        return 2 * linear.size
    return sum(part.nbytes for part in linear_parts(linear, scheme))


def _layer(linear: Linear) -> int:
    return int(linear.name.split("layers.", 1)[1].split(".", 1)[0])


def _heads(heads: int, tp: int) -> int:
    """Return the key/value heads of one GPU; copied when there are fewer than GPUs."""
    return max(1, heads // tp)


def _kv_share(spec: ModelSpec, linear: Linear, nbytes: int, tp: int) -> int:
    heads = spec.layer_kv_heads(_layer(linear))
    return nbytes * _heads(heads, tp) // heads
