"""Quantized numbers to float32 and back, as the GPU kernels see them, in numpy.

FP8 is E4M3 (largest value 448), NVFP4 is E2M1 (largest 6) in blocks of 16 with an E4M3 scale per
block and a float32 scale per tensor: OCP FP8 and NVIDIA's NVFP4 as ModelOpt packs it, the first of
two values in the low half of a byte.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import numpy.typing as npt

from gemma4_build.reference.ops import Array

__all__ = [
    "E4M3_MAX", "decode_e4m3", "decode_fp8", "decode_int4", "decode_nvfp4", "round_fp8",
    "round_nvfp4",
]  # fmt: skip

E4M3_MAX = 448.0
"""The largest number of E4M3, FP8's weights and activations."""
E2M1_MAX = 6.0
"""The largest number of E2M1, NVFP4's weights."""
_BLOCK = 16
"""Weights that share a scale in NVFP4."""

_E4M3 = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)
_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=np.float32)
_E2M1 = np.concatenate([_E2M1, -_E2M1])
_PAIRS = np.stack([_E2M1[np.arange(256) & 15], _E2M1[np.arange(256) >> 4]], axis=1)

Bytes = npt.NDArray[np.uint8]


def decode_e4m3(raw: Bytes) -> Array:
    """Return each byte's value; 0x7f and 0xff are NaN."""
    result: Array = _E4M3[raw]
    return result


def decode_fp8(raw: Bytes, scale: float) -> Array:
    """Return bytes of E4M3 times the tensor's scale, flat."""
    result: Array = decode_e4m3(raw) * np.float32(scale)
    return result


def decode_nvfp4(raw: Bytes, scales: Bytes, scale: float, *, inner: int) -> Array:
    """Decode ``raw`` [out * inner / 2] and block scales [out * inner / 16] to [out * inner]."""
    values = _PAIRS[raw].reshape(-1, inner // _BLOCK, _BLOCK)
    blocks = decode_e4m3(scales).reshape(-1, inner // _BLOCK, 1) * np.float32(scale)
    result: Array = (values * blocks).reshape(-1)
    return result


def decode_int4(raw: Bytes, scales: Array, *, inner: int, block: int) -> Array:
    """Decode ModelOpt's int4: ``raw`` [out / 2 * inner], two output rows in a byte, the even one in
    the low half; ``scales`` [out * inner / block]. Gives [out * inner]."""
    packed = raw.reshape(-1, inner)
    both = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1, inner).astype(np.int8)
    both[both > 7] -= 16
    values = both.astype(np.float32).reshape(-1, inner // block, block)
    result: Array = (values * scales.reshape(-1, inner // block, 1)).reshape(-1)
    return result


def round_fp8(x: Array, scale: float) -> Array:
    """Round ``x`` to E4M3 with this scale and back; too large values become the largest."""
    scaled = np.clip(x / np.float32(scale), -E4M3_MAX, E4M3_MAX)
    result: Array = scaled.astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * np.float32(scale)
    return result


def round_nvfp4(x: Array, scale: float) -> Array:
    """Round ``x`` [rows, n * 16] to NVFP4 with this tensor scale and back. Block scales come from
    the values themselves, rounded to E4M3, as the kernels compute them."""
    blocks = x.reshape(*x.shape[:-1], -1, _BLOCK)
    most = np.abs(blocks).max(axis=-1, keepdims=True) / np.float32(E2M1_MAX)
    steps = round_fp8(most, scale)
    safe = np.where(steps > 0, steps, np.float32(1))
    scaled = np.clip(blocks / safe, -E2M1_MAX, E2M1_MAX)
    rounded = scaled.astype(ml_dtypes.float4_e2m1fn).astype(np.float32) * steps
    result: Array = rounded.reshape(x.shape)
    return result
