"""Scales that must be equal because TensorRT-LLM fuses the matrices and keeps one of each."""

from __future__ import annotations

from collections.abc import Iterator

from gemma4_runtime.trtllm.loader.sources import (
    DENSE_SCALES,
    FP8_EXPERTS,
    FP8_RESCALE,
    INT4_EXPERT_SCALES,
    NVFP4_SCALES,
    Source,
)

__all__ = ["EQUAL_SCALES", "FUSED", "fused_groups"]

FUSED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Matrices of a layer, or of an expert, that become one. Full layers have no v_proj."""

EQUAL_SCALES: dict[tuple[str, str], tuple[tuple[str, ...], Source]] = {
    # weight_scale of dense FP8 matrices may differ: the loader rescales them to the largest.
    ("fp8", "dense"): (("input_scale",), FP8_RESCALE),
    ("fp8", "experts"): (("input_scale",), FP8_EXPERTS),
    ("nvfp4", "dense"): (("input_scale", "weight_scale_2"), DENSE_SCALES),
    ("nvfp4", "experts"): (("input_scale", "weight_scale_2"), NVFP4_SCALES),
    ("w4a8", "dense"): (("input_scale", "weight_scale_2"), DENSE_SCALES),
    ("w4a8", "experts"): (("input_scale", "pre_quant_scale"), INT4_EXPERT_SCALES),
}
"""By storage format and part of the model. Matrices that are fused see the same inputs, so one
input scale is right even where the loader would take the largest of several."""


def fused_groups(names: set[str]) -> Iterator[tuple[str, ...]]:
    """Give the linear layers of ``names`` that are fused, those of a group together, sorted."""
    for group in FUSED:
        for name in sorted(names):
            base, _, part = name.rpartition(".")
            if part == group[0]:
                found = tuple(f"{base}.{p}" for p in group if f"{base}.{p}" in names)
                if len(found) > 1:
                    yield found
