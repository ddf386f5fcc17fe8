"""A weight that is no number is refused by name, whatever the flags."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from gemma4_build import errors
from gemma4_build.finite import check_finite
from gemma4_build.gpu_options import GpuOptions
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_build.safetensors_file import header
from gemma4_build.shards import open_shard

NAMES = {
    "matrix": "model.language_model.layers.1.self_attn.q_proj.weight",
    "experts": "model.language_model.layers.2.experts.down_proj",
    "embedding": "model.language_model.embed_tokens.weight",
    "norm": "model.language_model.norm.weight",
}
BAD = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


def spoil(folder: Path, name: str, value: float, place: int = -1) -> None:
    """Overwrite one BF16 element of ``name``."""
    path = folder / "model.safetensors"
    raw = bytearray(path.read_bytes())
    length = int.from_bytes(raw[:8], "little")
    begin, end = json.loads(raw[8 : 8 + length])[name]["data_offsets"]
    at = 8 + length + (begin if place >= 0 else end) + 2 * place
    raw[at : at + 2] = ml_dtypes.bfloat16(value).tobytes()
    path.write_bytes(raw)


def refused(checkpoint: Path, *words: str, **options: object) -> None:
    out = checkpoint.parent / "out" / "engine"
    with pytest.raises(errors.NotFiniteError) as caught:
        build_engine(BuildRequest(checkpoint=checkpoint, out=out, **options), SilentReporter())  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("skip_verify", [True, False])
@pytest.mark.parametrize("precision", ["f32", "bf16", "int8", "int4"])
def test_every_precision_refuses(precision: str, skip_verify: bool, tiny: Path) -> None:
    spoil(tiny, NAMES["matrix"], np.nan, 5)
    words = ("model.safetensors", f"{NAMES['matrix']}[0, 5]", "NaN", "download it again")
    refused(tiny, *words, precision=precision, skip_verify=skip_verify)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("value", BAD)
def test_every_kind_of_tensor(kind: str, value: str, tiny: Path) -> None:
    spoil(tiny, NAMES[kind], BAD[value])
    refused(tiny, NAMES[kind], skip_verify=True)


@pytest.mark.parametrize("precision", ["bf16", "fp8", "nvfp4"])
def test_tensorrt_llm_refuses_before_it_computes(precision: str, tiny: Path) -> None:
    spoil(tiny, "model.embed_vision.embedding_projection.weight", np.inf)
    refused(
        tiny, "embed_vision", runtime="tensorrt_llm", precision=precision, skip_verify=True,
        trtllm=GpuOptions(pad_experts=precision == "nvfp4"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("precision", "value", "fine"),
    [("int8", 8e6, True), ("int8", 9e6, False), ("int4", 5e5, True), ("int4", 6e5, False),
     ("bf16", 3e38, True)],
)  # fmt: skip
def test_finite_weights_that_would_overflow(
    precision: str, value: float, fine: bool, tiny: Path
) -> None:
    """A block's scale is F16: the largest weight over 127 (Q8_0) or 8 (Q4_0)."""
    spoil(tiny, NAMES["matrix"], value)
    if not fine:
        refused(tiny, NAMES["matrix"], "too large", precision=precision, skip_verify=True)
        return
    request = BuildRequest(
        checkpoint=tiny, out=tiny.parent / "e", precision=precision, skip_verify=True
    )
    assert build_engine(request, SilentReporter()).status == "built"


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "F8_E4M3", "F8_E5M2"])
@pytest.mark.parametrize("place", [0, 131_071, 131_072, 299_999])
def test_every_type_at_every_place(dtype: str, place: int, tmp_path: Path) -> None:
    types = {
        "BF16": ml_dtypes.bfloat16, "F16": np.float16, "F32": np.float32,
        "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
    }  # fmt: skip
    values = np.random.default_rng(place).uniform(-400, 400, 300_000).astype(types[dtype])
    values[7] = ml_dtypes.finfo(types[dtype]).max
    for bad in (False, True):
        if bad:
            values[place] = np.nan
        path = tmp_path / f"{bad}.safetensors"
        head = header([("w", dtype, (3, 100_000), values.nbytes)])
        path.write_bytes(head + values.tobytes())
        shard = open_shard(path)
        try:
            if not bad:
                check_finite(shard.tensors.values(), SilentReporter())
                continue
            where = rf"w\[{place // 100_000}, {place % 100_000}\]"
            with pytest.raises(errors.NotFiniteError, match=where):
                check_finite(shard.tensors.values(), SilentReporter())
        finally:
            shard.close()
