"""Which tensors a quantized checkpoint has: names, types and shapes, from the model's sizes.

The names are those that ModelOpt's unified export writes and TensorRT-LLM's Gemma 4 weight mapper
reads: ``layers.N.experts.{id}.{gate,up,down}_proj.{weight,weight_scale,...}``; the two matrices of
the fused gate_up_proj come apart. Everything else keeps its name and stays bf16.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

from gemma4_build.model_spec import ModelSpec
from gemma4_build.tensor_table import TensorRule, checkpoint_tensors

__all__ = [
    "FP8",
    "INT4",
    "NVFP4_EXPERTS",
    "NVFP4_MLP",
    "Format",
    "Kind",
    "Linear",
    "Part",
    "Scheme",
    "checkpoint_parts",
    "folded_norm",
    "linear_parts",
    "linears",
    "total_bytes",
]  # fmt: skip

Format = Literal["fp8", "nvfp4", "w4a8"]
Kind = Literal["experts", "mlp", "qkv", "o"]

NVFP4_BLOCK = 16
"""Weights that share a scale in NVFP4."""
INT4_BLOCK = 128
"""The group that TensorRT-LLM's W4A8 kernels take (WInt4AFP8FusedMoEMethod)."""

ITEM = {"BF16": 2, "F32": 4, "F8_E4M3": 1, "U8": 1}

_KINDS: dict[str, Kind] = {"q_proj": "qkv", "k_proj": "qkv", "v_proj": "qkv", "o_proj": "o"}


@dataclass(frozen=True, slots=True)
class Scheme:
    """``kinds`` of the text model's linear layers are stored as ``format``, the rest in bf16.
    ``algorithm`` is hf_quant_config.json's name of it, ``block`` its group size."""

    name: str
    format: Format
    kinds: frozenset[Kind]
    algorithm: str
    block: int | None = None


_ALL: frozenset[Kind] = frozenset({"experts", "mlp", "qkv", "o"})
FP8 = Scheme("fp8", "fp8", _ALL, "FP8")
NVFP4_EXPERTS = Scheme("nvfp4", "nvfp4", frozenset({"experts"}), "NVFP4", NVFP4_BLOCK)
NVFP4_MLP = Scheme("nvfp4", "nvfp4", frozenset({"experts", "mlp"}), "NVFP4", NVFP4_BLOCK)
INT4 = Scheme("int4", "w4a8", _ALL, "W4A8_AWQ", INT4_BLOCK)


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor of the file. Scales of one value may be stored as [] or [1]."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * ITEM[self.dtype]


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer of the text model: ``[out, in]`` elements of the bf16 tensor ``source`` from
    element ``first`` on."""

    name: str
    kind: Kind
    out: int
    inner: int
    source: str
    first: int = 0

    @property
    def size(self) -> int:
        return self.out * self.inner


def linears(spec: ModelSpec) -> Iterator[Linear]:
    """Give every linear layer that a scheme may quantize, layer by layer."""
    for rule in checkpoint_tensors(spec):
        if rule.kind == "matrix":
            yield from _linears(rule)


def _linears(rule: TensorRule) -> Iterator[Linear]:
    if ".experts." not in rule.name:
        name = rule.name.removesuffix(".weight")
        kind = _KINDS.get(name.rpartition(".")[2], "mlp")
        rows, inner = rule.shape
        yield Linear(name, kind, rows, inner, rule.name)
        return
    base, _, matrix = rule.name.rpartition(".")
    count, rows, inner = rule.shape
    parts = ("gate_proj", "up_proj") if matrix == "gate_up_proj" else ("down_proj",)
    out = rows // len(parts)
    for expert in range(count):
        for place, part in enumerate(parts):
            first = (expert * rows + place * out) * inner
            yield Linear(f"{base}.{expert}.{part}", "experts", out, inner, rule.name, first)


def linear_parts(linear: Linear, scheme: Scheme) -> tuple[Part, ...]:
    """Return the tensors that ``linear`` is stored as under ``scheme``."""
    name, out, inner = linear.name, linear.out, linear.inner
    if linear.kind not in scheme.kinds:
        return (Part(f"{name}.weight", "BF16", (out, inner)),)
    one = (Part(f"{name}.input_scale", "F32", ()),)
    if scheme.format == "fp8":
        weight = Part(f"{name}.weight", "F8_E4M3", (out, inner))
        return (weight, Part(f"{name}.weight_scale", "F32", ()), *one)
    second = Part(f"{name}.weight_scale_2", "F32", ())
    if scheme.format == "nvfp4":
        return (
            Part(f"{name}.weight", "U8", (out, inner // 2)),
            Part(f"{name}.weight_scale", "F8_E4M3", (out, inner // NVFP4_BLOCK)),
            second,
            *one,
        )
    block = scheme.block or INT4_BLOCK
    packed = (
        Part(f"{name}.weight", "U8", (out // 2, inner)),
        Part(f"{name}.weight_scale", "F32", (out, inner // block)),
        second,
        *one,
    )
    if folded_norm(linear) is not None:
        return packed
    return (*packed, Part(f"{name}.pre_quant_scale", "BF16", (inner,)))


def folded_norm(linear: Linear) -> str | None:
    """Return the norm weight into which ModelOpt multiplies AWQ's scaling of ``linear``'s inputs;
    None where it is stored, as it is for the experts."""
    layer, _, part = linear.name.partition(".self_attn.")
    if linear.kind == "qkv":
        return f"{layer}.input_layernorm.weight"
    layer, _, part = linear.name.partition(".mlp.")
    if part in ("gate_proj", "up_proj"):
        return f"{layer}.pre_feedforward_layernorm.weight"
    return None


def checkpoint_parts(spec: ModelSpec, scheme: Scheme | None) -> Iterator[Part]:
    """Give every tensor of the checkpoint; ``scheme`` None is bf16, with the experts fused."""
    for rule in checkpoint_tensors(spec):
        if scheme is None or rule.kind != "matrix":
            yield Part(rule.name, "BF16", rule.shape)
            continue
        if ".experts." in rule.name and "experts" not in scheme.kinds:
            yield Part(rule.name, "BF16", rule.shape)
            continue
        for linear in _linears(rule):
            yield from linear_parts(linear, scheme)


def total_bytes(spec: ModelSpec, scheme: Scheme | None) -> int:
    """Return the bytes of all tensors, without file headers."""
    return sum(part.nbytes for part in checkpoint_parts(spec, scheme))
