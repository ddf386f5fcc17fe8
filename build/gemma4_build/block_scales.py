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
"""Bytes from the start of a block to each of its F16 scales and minima. MXFP4 has an exponent
only, and every one of them is finite."""

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
    parts = [blocks[:, at : at + 2].reshape(-1) for at in SCALES[kind]]
    return np.concatenate(parts) if parts else data[:0], "F16"
