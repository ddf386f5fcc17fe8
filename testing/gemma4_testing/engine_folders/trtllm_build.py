"""What the tests of building for TensorRT-LLM share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gemma4_build.gpu_options import GpuOptions
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_build.result import BuildResult

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], None]
SAMPLES = 6
"""Calibration texts."""


def build(source: Path, out: Path, precision: str, **options: Any) -> BuildResult:
    names = BuildRequest.__dataclass_fields__
    outer = {k: options.pop(k) for k in list(options) if k in names}
    request = BuildRequest(
        checkpoint=source, out=out, runtime="tensorrt_llm", precision=precision,
        trtllm=GpuOptions(**options), **outer,
    )  # fmt: skip
    return build_engine(request, SilentReporter())


def weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def edit_data(path: Path, name: str, change: Callable[[np.ndarray[Any, Any]], None]) -> None:
    raw = bytearray(path.read_bytes())
    length = int.from_bytes(raw[:8], "little")
    begin, end = json.loads(raw[8 : 8 + length])[name]["data_offsets"]
    data = np.frombuffer(raw, dtype=np.uint8)[8 + length + begin : 8 + length + end]
    change(data)
    path.write_bytes(raw)
