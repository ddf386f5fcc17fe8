"""Every storage type that is accepted can be run, and a scale that is no number is found."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from gemma4_build import errors
from gemma4_build.block_scales import SCALES, floats_of
from gemma4_build.finite import check_blocks
from gemma4_build.gguf_tensors import plan_tensors
from gemma4_build.model_spec import parse_config
from gemma4_build.pipeline import build_engine
from gemma4_build.precision import PRECISIONS
from gemma4_build.progress import SilentReporter
from gemma4_build.published.layout import StoredBlocks
from gemma4_build.published.stored import ACCEPTED, check_stored
from gemma4_build.random_checkpoint import PRESETS, config_for, write_checkpoint
from gemma4_build.request import BuildRequest
from gemma4_build.tensor_table import checkpoint_tensors
from gemma4_runtime.recorded_answers import read_recorded
from gemma4_testing.engine_folders.ggml_quantizer import quantize
from gemma4_testing.engine_folders.published_gguf import publish
from gguf import GGML_QUANT_SIZES, quants
from gguf import GGMLQuantizationType as Kind


@pytest.fixture(scope="module")
def wide(demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model all of whose rows are multiples of 256."""
    folder = tmp_path_factory.mktemp("wide") / "wide"
    preset = dataclasses.replace(
        PRESETS["tiny"], hidden=256, head_dim=64, global_head_dim=64, intermediate=256,
        moe_intermediate=256, shard_bytes=1 << 30,
    )  # fmt: skip
    write_checkpoint(folder, preset, tokenizer=demo_checkpoint)
    return folder


def test_llama_cpp_runs_a_model_with_all_of_them(wide: Path, tmp_path: Path) -> None:
    made = publish(wide, Kind.F32)
    matrices = [tensor for tensor in made.tensors if len(tensor.shape) > 1]
    for tensor, kind in zip(matrices, cycle(ACCEPTED), strict=False):
        values = np.frombuffer(tensor.data, dtype=np.float32).reshape(tensor.shape)
        tensor.kind, tensor.data = kind, quantize(values, kind)
    request = BuildRequest(
        checkpoint=made.write(tmp_path / "all.gguf"), tokenizer=wide, out=tmp_path / "e",
        precision="gguf",
    )  # fmt: skip
    manifest = build_engine(request, SilentReporter()).manifest
    assert manifest.gguf is not None
    assert set(manifest.gguf.types) == {kind.name for kind in ACCEPTED}
    assert read_recorded(tmp_path / "e", manifest).answers


@pytest.mark.parametrize("kind", SCALES, ids=lambda kind: kind.name)
def test_scales_are_where_the_table_says(kind: Kind) -> None:
    """A NaN at any of the places spoils the block, and no other number of a block can be one."""
    block, size = map(int, GGML_QUANT_SIZES[kind])
    values = np.random.default_rng(7).standard_normal((4, 2 * block), dtype=np.float32)
    data = np.frombuffer(quantize(values, kind), dtype=np.uint8).reshape(-1, size)
    assert np.isfinite(quants.dequantize(data, kind)).all()
    check_blocks(Path("f"), "t", data.reshape(-1), kind)
    for at in SCALES[kind]:
        bad = data.copy()
        bad[5, at : at + 2] = (0x00, 0x7E)
        assert np.isnan(quants.dequantize(bad, kind)[5]).any()
        with pytest.raises(errors.NotFiniteError, match=f"a scale of its blocks of t .{kind.name}"):
            check_blocks(Path("f"), "t", bad.reshape(-1), kind)
    filled = np.full_like(data, 0xFF)
    for at in SCALES[kind]:
        filled[:, at : at + 2] = (0x00, 0x3C)
    if kind == Kind.MXFP4:
        filled[:, 0] = 252
    with np.errstate(all="ignore"):
        assert np.isfinite(quants.dequantize(filled, kind)).all()
    check_blocks(Path("f"), "t", filled.reshape(-1), kind)


@pytest.mark.parametrize("exponent", range(250, 256))
def test_exponents_of_mxfp4(exponent: int) -> None:
    """0xFF is no number (OCP Microscaling Formats); from 253 on llama.cpp computes infinity."""
    data = np.zeros((3, 17), dtype=np.uint8)
    data[1] = [exponent, *[7] * 16]  # the largest value, 12
    with np.errstate(over="ignore"):
        finite = np.isfinite(quants.dequantize(data, Kind.MXFP4)).all()
    assert finite == (exponent < 253)
    if finite:
        check_blocks(Path("f"), "t", data.reshape(-1), Kind.MXFP4)
        return
    with pytest.raises(errors.NotFiniteError, match="a scale of its blocks"):
        check_blocks(Path("f"), "t", data.reshape(-1), Kind.MXFP4)


@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.BF16])
def test_plain_weights_are_looked_at_one_by_one(kind: Kind) -> None:
    data = np.frombuffer(quantize(np.ones((2, 64), np.float32), kind), dtype=np.uint8).copy()
    check_blocks(Path("f"), "t", data, kind)
    assert floats_of(data, kind)[0] is data
    data[-2:] = (0xC0, 0x7F) if kind != Kind.F16 else (0x00, 0x7E)
    with pytest.raises(errors.NotFiniteError, match="a weight of t"):
        check_blocks(Path("f"), "t", data, kind)


def test_the_26b_in_q4_0_as_it_is_published() -> None:
    """ggml-org/gemma-4-26B-A4B-it-GGUF has 392 tensors in F32, 265 in Q4_0, one in Q8_0, and
    14,618,145,824 bytes (https://github.com/FlashML-org/FreeToken/issues/188); so do ours."""
    spec = parse_config(config_for(PRESETS["26b"], 262_144), where="26b")
    planned = plan_tensors(spec, checkpoint_tensors(spec), PRECISIONS["int4"])
    assert Counter(tensor.kind for tensor in planned) == {
        Kind.F32: 392, Kind.Q4_0: 265, Kind.Q8_0: 1
    }  # fmt: skip
    assert 14e6 < 14_618_145_824 - planned[-1].end < 20e6  # the head: tokens and merges
    blocks = [StoredBlocks(t.name, t.shape, t.kind, t.offset, t.size) for t in planned]
    check_stored(Path("26b.gguf"), blocks, spec)
    with pytest.raises(errors.MissingTensorError, match="rope_freqs"):
        check_stored(Path("26b.gguf"), blocks[1:], spec)
