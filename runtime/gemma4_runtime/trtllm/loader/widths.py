"""What one GPU's share of an MLP must be a multiple of, and widths padded until it is."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_runtime.trtllm.loader.shape import Cut, Shape
from gemma4_runtime.trtllm.loader.sources import (
    BF16_DENSE,
    EXPERT_KERNEL,
    FP8_DENSE,
    FP8_EXPERTS,
    GATED_FC1,
    INT4_DENSE,
    INT4_EXPERTS,
    NVFP4_DENSE,
    Source,
)

__all__ = [
    "DENSE_STEP", "EXPERT_STEP", "INNER_STEP", "INT4_GROUP", "NVFP4_FC1_ROWS", "Step", "dense_step",
    "padded_widths",
]  # fmt: skip

INT4_GROUP = 128
"""Weights that share a scale; the only group that WInt4AFP8FusedMoEMethod takes."""
NVFP4_FC1_ROWS = 128
"""Rows to which NVFP4's fused gate and up of an expert are padded, at their end, though the kernel
splits them at half of the padded rows. So twice the width must be a multiple of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A share must be a multiple of ``size``; ``why`` is the reason where it is not obvious."""

    size: int
    source: Source
    why: str = ""


EXPERT_STEP = {
    "bf16": Step(8, EXPERT_KERNEL),
    "fp8": Step(32, FP8_EXPERTS),  # pads gate and up together, and down, which need not match
    "nvfp4": Step(
        NVFP4_FC1_ROWS // 2,
        GATED_FC1,
        f"TensorRT-LLM pads gate and up together to {NVFP4_FC1_ROWS} rows and splits the padded "
        "rows in half, which mixes the two",
    ),
    "int4": Step(INT4_GROUP, INT4_EXPERTS),
}
"""Experts, by precision."""

DENSE_STEP = {
    "bf16": Step(8, BF16_DENSE),
    "fp8": Step(16, FP8_DENSE),
    "nvfp4": Step(32, NVFP4_DENSE),
    "int4": Step(INT4_GROUP, INT4_DENSE),
}
"""The dense MLP as stored; NVFP4 of the experts alone leaves it in bf16."""

INNER_STEP = {
    "bf16": Step(8, EXPERT_KERNEL),
    "fp8": Step(16, FP8_DENSE),
    "nvfp4": Step(32, NVFP4_DENSE),
    "int4": Step(INT4_GROUP, INT4_DENSE),
}
"""The hidden size, and the inputs of the attention's output where that is quantized: what no
padding of the MLPs can mend."""


def dense_step(cut: Cut) -> Step:
    """Return the step of the dense MLP as ``cut`` stores it."""
    return DENSE_STEP[cut.precision if cut.dense_quantized else "bf16"]


def padded_widths(shape: Shape, cut: Cut) -> tuple[int, int]:
    """Return the least widths of expert and dense MLP, not below the given ones, that load."""
    return (
        _up(shape.expert_width, EXPERT_STEP[cut.precision].size * cut.expert_parts),
        _up(shape.dense_width, dense_step(cut).size * cut.dense_parts),
    )


def _up(value: int, multiple: int) -> int:
    return value + -value % multiple
