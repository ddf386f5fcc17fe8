"""Engine folders that ModelOpt quantized, made once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_build.result import BuildResult
from gemma4_build.trtllm.options import GpuOptions

SAMPLES = 6


@pytest.fixture(scope="session")
def built(
    demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], BuildResult]:
    """Builds of the demo checkpoint by precision, ``nvfp4-mlp`` with --quantize mlp. Do not change
    them."""
    found: dict[str, BuildResult] = {}

    def get(name: str) -> BuildResult:
        if name not in found:
            precision, _, quantize = name.partition("-")
            request = BuildRequest(
                checkpoint=demo_checkpoint, out=tmp_path_factory.mktemp(name) / "engine",
                runtime="tensorrt_llm", precision=precision,
                trtllm=GpuOptions(quantize=quantize or None, calibration_samples=SAMPLES),
            )  # fmt: skip
            found[name] = build_engine(request, SilentReporter())
        return found[name]

    return get
