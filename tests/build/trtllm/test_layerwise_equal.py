"""Layer by layer gives what the whole model gives, in the memory of a layer, and can go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gemma4_build.checkpoint import open_tensors
from gemma4_build.gpu_options import GpuOptions
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter, Tick
from gemma4_build.random_checkpoint import PRESETS, write_checkpoint
from gemma4_build.request import BuildRequest
from gemma4_build.result import BuildResult
from gemma4_build.trtllm.calibration import calibration_ids
from gemma4_build.trtllm.layerwise.need import LAYER_FACTOR, quantize_need
from gemma4_build.trtllm.ptq import RECIPES, Quantized, quantize
from gemma4_runtime.recorded_answers import RECORD_NAME
from gemma4_testing.engine_folders.whole_model import quantize_whole

SAMPLES = 6
"""As in conftest.py."""


def assert_equal(found: Path, whole: Path) -> None:
    """All tensors bit for bit, and what says how they are quantized."""
    with open_tensors(found) as (ours, _), open_tensors(whole) as (theirs, _):
        assert set(ours) == set(theirs)
        for name, tensor in theirs.items():
            assert (ours[name].dtype, ours[name].shape) == (tensor.dtype, tensor.shape), name
            assert np.array_equal(ours[name].read(), tensor.read()), name
    for file, key in (
        ("hf_quant_config.json", "quantization"),
        ("config.json", "quantization_config"),
    ):
        a, b = (json.loads((folder / file).read_text())[key] for folder in (found, whole))
        assert a == b


@pytest.mark.parametrize("name", ["fp8", "nvfp4", "nvfp4-mlp"])
def test_bits_of_the_whole_model(
    name: str, built: Callable[[str], BuildResult], demo_checkpoint: Path, wide_demo: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    precision, _, scheme = name.partition("-")
    source = wide_demo if precision == "nvfp4" else demo_checkpoint
    samples = calibration_ids(demo_checkpoint, None, samples=SAMPLES, length=512)
    recipe = RECIPES[precision, scheme or "experts"]
    quantize_whole(source, tmp_path / "whole", recipe, samples)
    assert_equal(built(name).path / "checkpoint", tmp_path / "whole")


def test_bits_of_the_whole_model_awq(demo_checkpoint: Path, tmp_path: Path) -> None:
    """Two texts leave experts without tokens, which ModelOpt treats apart."""
    preset = replace(PRESETS["tiny"], hidden=256, intermediate=256, moe_intermediate=128)
    write_checkpoint(tmp_path / "source", preset, tokenizer=demo_checkpoint)
    samples = [ids[:12] for ids in calibration_ids(demo_checkpoint, None, samples=2, length=512)]
    recipe = RECIPES["int4", "experts"]
    quantize(
        tmp_path / "source", tmp_path / "ours",
        recipe=recipe, samples=samples, device="cpu", reporter=SilentReporter(),
    )  # fmt: skip
    quantize_whole(tmp_path / "source", tmp_path / "whole", recipe, samples)
    assert_equal(tmp_path / "ours", tmp_path / "whole")


class Spoken:
    """Remembers what is said, and interrupts at ``stop``."""

    def __init__(self, stop: str = "nothing") -> None:
        self.lines: list[str] = []
        self.stop = stop

    def say(self, text: str) -> None:
        self.lines.append(text)
        if text.startswith(self.stop):
            raise KeyboardInterrupt

    def bytes(self, title: str, *, total: int, done: int = 0) -> AbstractContextManager[Tick]:
        return SilentReporter().bytes(title, total=total, done=done)


def test_goes_on_after_the_last_whole_layer(
    built: Callable[[str], BuildResult], demo_checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "engine"
    request = BuildRequest(
        checkpoint=demo_checkpoint, out=out, runtime="tensorrt_llm", precision="fp8",
        trtllm=GpuOptions(calibration_samples=SAMPLES), skip_verify=True,
    )  # fmt: skip
    first, second = Spoken("Layer 4 of 6"), Spoken()
    with pytest.raises(KeyboardInterrupt):
        build_engine(request, first)
    assert [path.name for path in tmp_path.iterdir()] == [".engine.building"]
    result = build_engine(request, second)
    layers = [line[:12] for line in second.lines if line.startswith("Layer ")]
    assert layers == ["Layer 4 of 6", "Layer 5 of 6", "Layer 6 of 6"]
    verified = dict(built("fp8").manifest.files)
    assert verified.pop(RECORD_NAME), "which is written by what this build skips"
    assert result.manifest.files == verified
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_memory_is_that_of_a_layer(demo_checkpoint: Path, tmp_path: Path) -> None:
    """Two and six layers of 84 MB: four more would show."""
    samples = [list(range(2, 40))]
    peaks: dict[int, Quantized] = {}
    for layers in (2, 6):
        preset = replace(
            PRESETS["tiny"], layers=layers, pattern=1, hidden=1024, moe_intermediate=512,
            intermediate=512, experts=24,
        )  # fmt: skip
        source = tmp_path / f"{layers}"
        spec = write_checkpoint(source, preset, tokenizer=demo_checkpoint)
        peaks[layers] = quantize(
            source, tmp_path / f"{layers}-fp8", recipe=RECIPES["fp8", "experts"],
            samples=samples, device="cpu", reporter=SilentReporter(),
        )  # fmt: skip
        need = quantize_need(spec, "fp8", tokens=38, longest=38)
        assert peaks[layers].peak_bytes < need.host
    layer = need.layer / LAYER_FACTOR["fp8"]
    assert 75e6 < layer < 95e6
    assert peaks[6].peak_bytes < peaks[2].peak_bytes + layer
