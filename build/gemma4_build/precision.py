"""The CPU precisions: which GGUF type each tensor gets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

from gemma4_build.tensor_table import TensorRule

__all__ = ["PRECISIONS", "Precision", "gguf_type", "stored_bytes"]

T = GGMLQuantizationType


@dataclass(frozen=True, slots=True)
class Precision:
    """``matrix`` and ``embedding`` (also the output matrix, which is tied) are storage types;
    norms, scales and the router are always F32. ``kv_type`` and ``flash_attention`` are how the
    runtime runs it: flash attention on CPU computes in F16, so float32 goes without."""

    name: str
    matrix: GGMLQuantizationType
    embedding: GGMLQuantizationType
    file_type: LlamaFileType
    kv_type: Literal["f32", "f16", "q8_0"]
    flash_attention: bool


PRECISIONS = {
    p.name: p
    for p in (
        Precision("f32", T.F32, T.F32, LlamaFileType.ALL_F32, "f32", False),
        Precision("bf16", T.BF16, T.BF16, LlamaFileType.MOSTLY_BF16, "f16", True),
        Precision("int8", T.Q8_0, T.Q8_0, LlamaFileType.MOSTLY_Q8_0, "f16", True),
        Precision("int4", T.Q4_0, T.Q8_0, LlamaFileType.MOSTLY_Q4_0, "f16", True),
    )
}


def gguf_type(rule: TensorRule, precision: Precision) -> GGMLQuantizationType:
    """Return the storage type of a tensor. A row that is no multiple of the quantization block (32)
    stays BF16."""
    if rule.kind == "exact":
        return T.F32
    wanted = precision.embedding if rule.kind == "embedding" else precision.matrix
    block, _ = GGML_QUANT_SIZES[wanted]
    return wanted if rule.shape[-1] % block == 0 else T.BF16


def stored_bytes(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    """Return the bytes of a tensor in the file, without padding."""
    block, size = GGML_QUANT_SIZES[kind]
    return math.prod(shape) // int(block) * int(size)
