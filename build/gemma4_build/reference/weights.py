"""What the forward pass needs of a checkpoint: bf16, or quantized and decoded on the fly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gemma4_build.model_spec import ModelSpec
from gemma4_build.reference.ops import Array

__all__ = ["EXACT", "Rounding", "Tensor", "Weights"]


class Tensor(Protocol):
    """A stored matrix or vector."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def read_size(self) -> int:
        """Bytes that reading all of it takes."""

    def read_float32(self, first: int = 0, count: int | None = None) -> Array:
        """Return ``count`` elements from element ``first`` on (row-major), flat."""


class Weights(Protocol):
    """Tensors by the names of the bf16 checkpoint."""

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def tensors(self) -> Mapping[str, Tensor]: ...


class Rounding(Protocol):
    """What a quantized engine does to activations, and how it multiplies."""

    def inputs(self, name: str, x: Array) -> Array:
        """Return what the engine multiplies with. ``x`` is the input of the linear layer (or all
        experts) with the weight ``name``."""

    def product(self, name: str, x: Array, matrix: Array) -> Array:
        """Return ``x`` [rows, in], rounded, times the transposed ``matrix`` [out, in] of
        ``name``."""

    def cache(self, x: Array) -> Array:
        """Return keys (after RoPE) or values, as the KV cache keeps them."""


class _Exact:
    """Float32 throughout."""

    def inputs(self, name: str, x: Array) -> Array:
        del name
        return x

    def product(self, name: str, x: Array, matrix: Array) -> Array:
        del name
        result: Array = x @ matrix.T
        return result

    def cache(self, x: Array) -> Array:
        return x


EXACT: Rounding = _Exact()
