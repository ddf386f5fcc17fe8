"""Our numpy formats are ModelOpt's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gemma4_build.trtllm import decode


@pytest.fixture(scope="module")
def values() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(1)
    return (4 * rng.standard_normal((50, 192))).astype(np.float32)


def test_fp8_rounding_is_modelopts(values: np.ndarray[Any, Any]) -> None:
    import torch
    from modelopt.torch.quantization.config import QuantizerAttributeConfig
    from modelopt.torch.quantization.nn import TensorQuantizer

    quantizer = TensorQuantizer(QuantizerAttributeConfig(num_bits=(4, 3)))
    quantizer.amax = torch.tensor(9.5)
    theirs = quantizer(torch.from_numpy(values)).numpy()
    ours = decode.round_fp8(values, 9.5 / 448)
    assert np.abs(values).max() > 9.5  # some saturate
    # Equal steps; the scale itself is computed in another order.
    assert np.allclose(theirs, ours, rtol=3e-7, atol=0)
    scaled = torch.from_numpy(values).to(torch.float8_e4m3fn)
    raw = scaled.view(torch.uint8).numpy()
    assert np.array_equal(decode.decode_fp8(raw, 0.5), 0.5 * scaled.float().numpy())


def test_nvfp4_is_modelopts(values: np.ndarray[Any, Any]) -> None:
    import torch
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

    packed, scale, second = NVFP4QTensor.quantize(torch.from_numpy(values), 16)
    theirs = packed.dequantize(
        dtype=torch.float32, scale=scale, double_scale=second, block_sizes={-1: 16}
    ).numpy()
    ours = decode.decode_nvfp4(
        packed._quantized_data.numpy(),
        scale.view(torch.uint8).numpy(),
        float(second),
        inner=192,
    )
    assert np.array_equal(theirs, ours.reshape(50, 192))
    assert np.array_equal(theirs, decode.round_nvfp4(values, float(second)))


def test_int4_is_modelopts(values: np.ndarray[Any, Any]) -> None:
    import torch
    from modelopt.torch.export.quant_utils import pack_int4_in_uint8

    blocks = np.abs(values.reshape(50, 3, 64)).max(axis=-1) / 7
    packed = pack_int4_in_uint8(torch.from_numpy(values), torch.from_numpy(blocks), 64).numpy()
    ours = decode.decode_int4(packed, blocks, inner=192, block=64).reshape(50, 192)
    steps = np.repeat(blocks, 64, axis=1)
    wanted = np.clip(np.round(values / steps), -8, 7) * steps
    assert np.abs(ours - wanted).max() < 1e-5


def test_blocks_of_zeros() -> None:
    assert not decode.round_nvfp4(np.zeros((2, 32), dtype=np.float32), 0.1).any()
