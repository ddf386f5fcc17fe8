"""A checkpoint that was trained for Q4_0 has values on its grid: int4 must not move one of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from gemma4_build.quantize import convert_slice
from gemma4_build.random_checkpoint import to_bf16
from gguf import GGMLQuantizationType, quants

Q4_0 = GGMLQuantizationType.Q4_0
_BLOCK = 32


def grid(seed: int, blocks: int) -> npt.NDArray[np.float32]:
    """Weights as QAT for Q4_0 leaves them: in each block of 32 a scale that float16 and bfloat16
    hold exactly, times integers from -8 to 7 of which one is -8 (the extreme that ggml's rounding
    takes the scale from)."""
    rng = np.random.default_rng(seed)
    scale = np.ldexp(rng.integers(8, 16, (blocks, 1)), rng.integers(-12, -5, (blocks, 1)))
    steps = rng.integers(-7, 8, (blocks, _BLOCK))
    steps[np.arange(blocks), rng.integers(0, _BLOCK, blocks)] = -8
    signs = rng.choice([-1.0, 1.0], (blocks, 1))
    return np.asarray(scale * signs * steps, dtype=np.float32)


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("seed", range(5))
def test_values_on_the_grid_come_through_bit_for_bit(seed: int, dtype: str) -> None:
    values = grid(seed, 4096)
    raw = to_bf16(values).view(np.uint8).reshape(-1) if dtype == "BF16" else values.view(np.uint8)
    stored = convert_slice(raw.reshape(-1), dtype, Q4_0)
    back = quants.dequantize(stored.reshape(-1, 18), Q4_0)
    assert np.array_equal(back.reshape(values.shape), values)


def test_other_values_do_not() -> None:
    """The test above can fail: rounding moves values that are on no grid."""
    values = np.random.default_rng(0).standard_normal((64, _BLOCK), dtype=np.float32)
    stored = convert_slice(values.view(np.uint8).reshape(-1), "F32", Q4_0)
    back = quants.dequantize(stored.reshape(-1, 18), Q4_0)
    assert not np.array_equal(back.reshape(values.shape), values)
