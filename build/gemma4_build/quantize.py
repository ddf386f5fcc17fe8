"""Source bytes to GGUF bytes, a slice at a time.

Rounding is the ``gguf`` library's, which is bit for bit ggml's reference. It works on groups of 16
rows, so slices are given to it as few wide rows: blocks of 32 lie one after another in memory and
do not know of rows.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, quants

from gemma4_build.shards import to_float32

__all__ = ["convert_slice"]

_ROW = 16384
"""Elements per row handed to gguf: 16 rows are 1 MiB of float32, which stays in the cache."""


def convert_slice(
    raw: npt.NDArray[np.uint8], dtype: str, kind: GGMLQuantizationType
) -> npt.NDArray[np.uint8]:
    """Convert ``raw``, which holds elements of type ``dtype`` (BF16, F16 or F32), and return them
    as ``kind``, flat bytes. The number of elements must be a multiple of ``kind``'s block size."""
    if dtype == "BF16" and kind == GGMLQuantizationType.BF16:
        return raw
    values = to_float32(raw, dtype)
    if kind == GGMLQuantizationType.F32:
        return values.view(np.uint8)
    rows = values.reshape(-1, math.gcd(values.size, _ROW))
    result: npt.NDArray[np.uint8] = quants.quantize(rows, kind)
    return result.reshape(-1)
