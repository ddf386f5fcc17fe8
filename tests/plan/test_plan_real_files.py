"""The sizes that a plan rests on, against files: those made here, and those that others published."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from gemma4_build.model_spec import read_config
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_build.trtllm.bytes_needed import plan_rank, scheme_for
from gemma4_build.trtllm.formats import total_bytes
from gemma4_build.trtllm.widths import padded
from gemma4_plan.cpu_memory import CPU_PRECISIONS, gguf_bytes
from gemma4_plan.model import published_model
from gemma4_testing.repository import ROOT
from gguf import GGUFReader

DEMO = ROOT / "demo" / "checkpoint"

FILES_GB = {"bf16": 51.61, "fp8": 27.13, "nvfp4": 18.78, "int4": 16.81}
"""Of all tensors of the 26B. bf16 is the published index's total_size; fp8 and nvfp4 were built here
from random weights (bench/RESULTS.md), and NVIDIA's published NVFP4 checkpoint has 18.8 GB; int4 is
what the shapes give: no whole file of it has been made."""

GGUF_GB = {"f32": 100.93, "bf16": 50.49, "int8": 26.84, "int4": 14.60}
"""int4 was written here from random weights with the 26B's shapes: 14.6 GB."""

LOADED_GIB = {"bf16": 48.5, "fp8": 25.75}
"""What vLLM reports as the memory of the loaded model on an H200 (LargitData/gemma-4-26b-a4b-it-fp8,
Hugging Face); its fp8 has scales per channel, ours one per matrix."""


def test_the_demo_checkpoint() -> None:
    file = DEMO / "model.safetensors"
    with file.open("rb") as opened:
        (header,) = struct.unpack("<Q", opened.read(8))
    assert total_bytes(read_config(DEMO), None) == file.stat().st_size - 8 - header


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
def test_the_demo_as_gguf(precision: str, tmp_path: Path) -> None:
    request = BuildRequest(
        checkpoint=DEMO, out=tmp_path / "engine", precision=precision, skip_verify=True
    )
    built = build_engine(request, SilentReporter())
    file = built.path / "model.gguf"
    planned = gguf_bytes(read_config(DEMO), precision)
    assert planned == file.stat().st_size - GGUFReader(file).data_offset
    assert built.manifest.memory.weight_bytes == file.stat().st_size


@pytest.mark.parametrize("precision", FILES_GB)
def test_checkpoints_of_the_26b(precision: str) -> None:
    spec, scheme = published_model(), scheme_for(precision)
    if precision == "int4":
        spec = padded(spec, precision, scheme, tp=1, ep=1).apply(spec)
    assert round(total_bytes(spec, scheme) / 1e9, 2) == FILES_GB[precision]


@pytest.mark.parametrize("precision", GGUF_GB)
def test_gguf_files_of_the_26b(precision: str) -> None:
    assert round(gguf_bytes(published_model(), precision) / 1e9, 2) == GGUF_GB[precision]


@pytest.mark.parametrize("precision", LOADED_GIB)
def test_what_another_engine_loads(precision: str) -> None:
    planned = plan_rank(published_model(), precision).weights / 2**30
    assert planned == pytest.approx(LOADED_GIB[precision], rel=0.02)
