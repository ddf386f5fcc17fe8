"""Where ggml's storage types keep their floating-point numbers, which could be no numbers.

Layout of the blocks: llama.cpp ``ggml/src/ggml-common.h``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

__all__ = ["SCALES", "floats_of"]

T = GGMLQuantizationType

SCALES: dict[GGMLQuantizationType, tuple[int, ...]] = {
    T.Q4_0: (0,), T.Q4_1: (0, 2), T.Q5_0: (0,), T.Q5_1: (0, 2), T.Q8_0: (0,),
    T.Q2_K: (80, 82), T.Q3_K: (108,), T.Q4_K: (0, 2), T.Q5_K: (0, 2), T.Q6_K: (208,),
    T.IQ2_XXS: (0,), T.IQ2_XS: (0,), T.IQ2_S: (0,), T.IQ3_XXS: (0,), T.IQ3_S: (0,),
    T.IQ4_NL: (0,), T.IQ4_XS: (0,), T.MXFP4: (),
}  # fmt: skip
"""Bytes from the start of a block to each of its F16 scales and minima. MXFP4 has the
exponent of a power of two only, in its first byte."""

_MXFP4_LARGEST, _MXFP4_BIAS = 12.0, 128
"""The largest of a block's 16 values before scaling, and what is taken off the exponent."""
_PLAIN = {T.F32: "F32", T.F16: "F16", T.BF16: "BF16"}


def floats_of(
    data: npt.NDArray[np.uint8], kind: GGMLQuantizationType
) -> tuple[npt.NDArray[np.uint8], str]:
    """Return the bytes of all floating-point numbers in ``data``, which holds whole blocks of
    ``kind``, and their type. ``kind`` is F32, F16, BF16 or one of :data:`SCALES`."""
    if kind in _PLAIN:
        return data, _PLAIN[kind]
    _, size = GGML_QUANT_SIZES[kind]
    blocks = data.reshape(-1, int(size))
    if kind == T.MXFP4:
        return _largest_mxfp4(blocks[:, 0]).view(np.uint8), "F32"
    parts = [blocks[:, at : at + 2].reshape(-1) for at in SCALES[kind]]
    return np.concatenate(parts) if parts else data[:0], "F16"


def _largest_mxfp4(exponents: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the largest weight that a block can have; from exponent 253 on it is infinite."""
    with np.errstate(over="ignore"):
        return np.ldexp(np.float32(_MXFP4_LARGEST), exponents.astype(np.int32) - _MXFP4_BIAS)
