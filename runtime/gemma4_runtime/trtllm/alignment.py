"""What one GPU's share of an MLP must be a multiple of, and widths padded until it is."""

from __future__ import annotations

__all__ = ["EXPERT_STEP", "dense_step", "padded_widths"]

EXPERT_STEP = {"bf16": 8, "fp8": 32, "nvfp4": 16, "int4": 128}
"""Experts. TensorRT-LLM's CUTLASS MoE pads FP8 to 32 rows and columns in ways that do not match
when it has to; NVFP4 has blocks of 16; WInt4AFP8 needs 128; BF16 rows are aligned to 16 bytes."""

_DENSE_STEP = {"bf16": 8, "fp8": 16, "nvfp4": 16, "int4": 128}


def dense_step(precision: str, *, quantized: bool) -> int:
    """Return the step of the dense MLP; NVFP4 of the experts alone leaves it in bf16."""
    return _DENSE_STEP[precision if quantized else "bf16"]


def padded_widths(
    expert: int, dense: int, precision: str, *, dense_quantized: bool, tp: int, ep: int
) -> tuple[int, int]:
    """Return the least widths of expert and dense MLP, not below the given ones, that ``precision``
    takes on ``tp`` GPUs, of which ``ep`` split the experts by number."""
    return (
        _up(expert, EXPERT_STEP[precision] * max(1, tp // max(1, ep))),
        _up(dense, dense_step(precision, quantized=dense_quantized) * max(1, tp)),
    )


def _up(value: int, multiple: int) -> int:
    return value + -value % multiple
