"""Engine folders that ModelOpt quantized, made once for all tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.checkpoint import open_checkpoint, open_tensors
from gemma4_build.progress import SilentReporter
from gemma4_build.result import BuildResult
from gemma4_build.safetensors_file import header
from gemma4_build.trtllm import pipeline
from gemma4_build.trtllm.folder import copy_text_files
from gemma4_build.trtllm.pad import write_padded
from gemma4_build.trtllm.ptq import Quantized
from gemma4_build.trtllm.widths import Widths
from gemma4_testing.engine_folders.trtllm_build import SAMPLES, build, weights


@pytest.fixture(scope="session")
def built(
    demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], BuildResult]:
    """Builds of the demo checkpoint by precision, ``nvfp4-mlp`` with --quantize mlp. Its experts
    are 96 wide, which NVFP4 cannot have, so those are padded to 128. Do not change them."""
    found: dict[str, BuildResult] = {}

    def get(name: str) -> BuildResult:
        if name not in found:
            precision, _, quantize = name.partition("-")
            found[name] = build(
                demo_checkpoint, tmp_path_factory.mktemp(name) / "engine", precision,
                quantize=quantize or None, calibration_samples=SAMPLES,
                pad_experts=precision == "nvfp4",
            )  # fmt: skip
        return found[name]

    return get


@pytest.fixture(scope="session")
def wide_demo(demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo checkpoint with experts 128 wide, as a build for NVFP4 pads it."""
    out = tmp_path_factory.mktemp("wide") / "demo"
    out.mkdir()
    with open_checkpoint(demo_checkpoint) as source:
        write_padded(source, Widths(128, 256), out, SilentReporter())
    copy_text_files(demo_checkpoint, out, config=False)
    return out


@pytest.fixture(scope="session")
def one_file(built: Callable[[str], BuildResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fp8 checkpoint in one shard, without an index."""
    source, folder = built("fp8").path / "checkpoint", tmp_path_factory.mktemp("one") / "fp8"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors*"))
    with open_tensors(source) as (stored, _), weights(folder).open("wb") as file:
        file.write(header((t.name, t.dtype, t.shape, t.read_size) for t in stored.values()))
        for tensor in stored.values():
            file.write(tensor.read().data)
    return folder


@pytest.fixture
def fp8(one_file: Path, tmp_path: Path) -> Path:
    """A quantized checkpoint to change."""
    return Path(shutil.copytree(one_file, tmp_path / "source" / "fp8"))


@pytest.fixture
def fake_export(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[int]]:
    """Instead of ModelOpt, copy a folder. The list has one entry for each call."""

    def use(folder: Path) -> list[int]:
        calls: list[int] = []

        def quantize(checkpoint: Path, export: Path, **options: Any) -> Quantized:
            calls.append(len(options["samples"]))
            shutil.copytree(folder, export, dirs_exist_ok=True)
            return Quantized("0.47.0", 1, 1, 1, 0, 1.0)

        monkeypatch.setattr(pipeline, "quantize", quantize)
        return calls

    return use
