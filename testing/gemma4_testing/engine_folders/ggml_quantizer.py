"""llama.cpp's own quantizer, out of the installed wheel."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

__all__ = ["kind_for", "quantize"]

T = GGMLQuantizationType
_SHORT = {T.Q4_K: T.Q5_0, T.Q5_K: T.Q5_1, T.Q6_K: T.Q8_0}
"""What llama-quantize takes for rows that are no multiple of 256 (llama-quant.cpp); else IQ4_NL."""


def kind_for(wanted: GGMLQuantizationType, row: int) -> GGMLQuantizationType:
    """Return ``wanted``, or what llama-quantize takes instead for rows of ``row`` weights."""
    block, _ = GGML_QUANT_SIZES[wanted]
    return wanted if row % block == 0 else _SHORT.get(wanted, T.IQ4_NL)


def quantize(values: npt.NDArray[np.float32], kind: GGMLQuantizationType) -> bytes:
    """Return ``values`` (rows last) as ggml rounds them to ``kind``, all weights equally important."""
    if kind == T.F32:
        return values.tobytes()
    row = values.shape[-1]
    rows = np.ascontiguousarray(values, dtype=np.float32).reshape(-1, row)
    block, size = GGML_QUANT_SIZES[kind]
    out = np.empty(rows.size // int(block) * int(size), dtype=np.uint8)
    weights = np.ones(row, dtype=np.float32)
    written = _library().ggml_quantize_chunk(
        int(kind), rows.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_int64(0), ctypes.c_int64(len(rows)), ctypes.c_int64(row),
        weights.ctypes.data_as(ctypes.c_void_p),
    )  # fmt: skip
    assert written == out.nbytes
    return out.tobytes()


@cache
def _library() -> ctypes.CDLL:
    import xllamacpp

    library = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("*.so"))))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    return library
