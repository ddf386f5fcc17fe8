"""Every tensor of the model's GGUF file: name, shape, storage type, and where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType

from gemma4_build.model_spec import ModelSpec
from gemma4_build.precision import Precision, gguf_type, stored_bytes
from gemma4_build.tensor_table import TensorRule

__all__ = [
    "ALIGNMENT", "ROPE_FACTORS", "PlannedTensor", "file_tensors", "plan_tensors", "rope_factors",
]  # fmt: skip

ALIGNMENT = 32
"""Bytes to whose multiples each tensor's data is aligned: GGUF's default."""
ROPE_FACTORS = "rope_freqs.weight"
"""The tensor that no checkpoint has: see :func:`rope_factors`."""
_NOT_ROTATED = 1e30
"""Divisor of the frequencies of a full layer's unrotated pairs (generate_extra_tensors)."""


@dataclass(frozen=True, slots=True)
class PlannedTensor:
    """A tensor of the file. ``source`` is None for the rope factors, which no checkpoint has.
    ``offset`` counts from the start of the tensor data; ``size`` is without padding."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    source: str | None
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size + -self.size % ALIGNMENT


def rope_factors(spec: ModelSpec) -> npt.NDArray[np.float32]:
    """Return the frequency divisors of the full layers, [global_head_dim / 2]."""
    factors = np.full(spec.global_head_dim // 2, _NOT_ROTATED, dtype=np.float32)
    factors[: spec.rotated_pairs] = 1.0
    return factors


def plan_tensors(
    spec: ModelSpec, rules: tuple[TensorRule, ...], precision: Precision
) -> list[PlannedTensor]:
    """Return the tensors of the file in order, with types and offsets."""
    planned: list[PlannedTensor] = []
    for name, shape, rule in file_tensors(spec, rules):
        kind = GGMLQuantizationType.F32 if rule is None else gguf_type(rule, precision)
        planned.append(
            PlannedTensor(
                name, shape, kind, None if rule is None else rule.name,
                offset=planned[-1].end if planned else 0, size=stored_bytes(shape, kind),
            )
        )  # fmt: skip
    return planned


def file_tensors(
    spec: ModelSpec, rules: tuple[TensorRule, ...]
) -> Iterator[tuple[str, tuple[int, ...], TensorRule | None]]:
    """Give every tensor of a GGUF file of the model: name, row-major shape, and its rule, which is
    None for the rope factors."""
    yield ROPE_FACTORS, (spec.global_head_dim // 2,), None
    for rule in rules:
        if rule.kind != "unused":
            yield rule.gguf, rule.shape, rule
