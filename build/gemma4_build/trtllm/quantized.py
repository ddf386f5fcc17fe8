"""A quantized checkpoint on disk, and its weights as float32 for the reference forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from gemma4_build.model_spec import ModelSpec
from gemma4_build.reference.ops import Array
from gemma4_build.reference.weights import EXACT, Tensor
from gemma4_build.shards import StoredTensor
from gemma4_build.tensor_table import TensorRule, checkpoint_tensors
from gemma4_build.trtllm.decode import (
    decode_fp8,
    decode_int4,
    decode_nvfp4,
    round_fp8,
    round_nvfp4,
)
from gemma4_build.trtllm.formats import INT4_BLOCK, Linear, Scheme, folded_norm, linears

__all__ = ["EngineRounding", "QuantizedWeights", "decode_linear", "scalar"]

Stored = Mapping[str, StoredTensor]


def scalar(tensor: StoredTensor) -> float:
    """Return the value of a scale of one element."""
    return float(tensor.read_float32()[0])


def decode_linear(linear: Linear, scheme: Scheme, stored: Stored) -> Array:
    """Return the matrix as the engine multiplies with it, [out * in] flat. For w4a8 the stored
    scaling of the inputs is folded into the columns."""
    weight = stored[f"{linear.name}.weight"]
    if linear.kind not in scheme.kinds:
        return weight.read_float32()
    scale = stored[f"{linear.name}.weight_scale"]
    if scheme.format == "fp8":
        return decode_fp8(weight.read(), scalar(scale))
    if scheme.format == "nvfp4":
        second = scalar(stored[f"{linear.name}.weight_scale_2"])
        return decode_nvfp4(weight.read(), scale.read(), second, inner=linear.inner)
    values = decode_int4(
        weight.read(), scale.read_float32(), inner=linear.inner, block=scheme.block or INT4_BLOCK
    ).reshape(linear.out, linear.inner)
    if folded_norm(linear) is None:
        values *= stored[f"{linear.name}.pre_quant_scale"].read_float32()
    return values.reshape(-1)


@dataclass(frozen=True, slots=True)
class _Matrices:
    """A bf16 tensor's place, filled by one or many linear layers; whole ones are read."""

    shape: tuple[int, ...]
    parts: tuple[Linear, ...]
    scheme: Scheme
    stored: Stored

    @property
    def read_size(self) -> int:
        return prod(self.shape)

    def read_float32(self, first: int = 0, count: int | None = None) -> Array:
        end = prod(self.shape) if count is None else first + count
        wanted = [p for p in self.parts if first <= p.first and p.first + p.size <= end]
        if sum(part.size for part in wanted) != end - first:
            raise ValueError("only whole matrices can be read")
        return np.concatenate([decode_linear(p, self.scheme, self.stored) for p in wanted])


@dataclass(frozen=True, slots=True)
class QuantizedWeights:
    """:class:`gemma4_build.reference.weights.Weights` of a quantized checkpoint."""

    spec: ModelSpec
    tensors: Mapping[str, Tensor]

    @classmethod
    def over(cls, spec: ModelSpec, scheme: Scheme, stored: Stored) -> QuantizedWeights:
        parts: dict[str, list[Linear]] = {}
        for linear in linears(spec):
            parts.setdefault(linear.source, []).append(linear)

        def tensor(rule: TensorRule) -> Tensor:
            if rule.kind != "matrix":
                return stored[rule.name]
            return _Matrices(rule.shape, tuple(parts[rule.name]), scheme, stored)

        rules = checkpoint_tensors(spec)
        return cls(spec, {r.name: tensor(r) for r in rules if r.kind != "unused"})


class EngineRounding:
    """Activations as the engine rounds them: FP8 inputs with the calibrated scale, NVFP4 inputs in
    blocks, FP8 keys and values with scale 1. int4's inputs stay float32 (weights only)."""

    def __init__(self, spec: ModelSpec, scheme: Scheme, stored: Stored, *, fp8_cache: bool) -> None:
        self._scheme = scheme
        self._fp8_cache = fp8_cache
        self._scales: dict[str, float] = {}
        for linear in linears(spec):
            if linear.kind in scheme.kinds and scheme.format != "w4a8":
                found = scalar(stored[f"{linear.name}.input_scale"])
                known = self._scales.get(linear.source, 0.0)
                self._scales[linear.source] = max(known, found)

    def inputs(self, name: str, x: Array) -> Array:
        scale = self._scales.get(name)
        if scale is None:
            return x
        return round_fp8(x, scale) if self._scheme.format == "fp8" else round_nvfp4(x, scale)

    def product(self, name: str, x: Array, matrix: Array) -> Array:
        """Return the product in float32, of the decoded numbers."""
        return EXACT.product(name, x, matrix)

    def cache(self, x: Array) -> Array:
        return round_fp8(x, 1.0) if self._fp8_cache else x
