"""An engine folder of the tensorrt_llm runtime, built from the demo checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

from gemma4_build.gpu_options import GpuOptions
from gemma4_build.manifest import write_manifest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.trtllm import llm_args
from gemma4_runtime.trtllm.api import VERSION

DOUBLES = Path(__file__).parents[1] / "doubles"


def double_env() -> dict[str, str]:
    """The environment in which ``tensorrt_llm`` is the double."""
    path = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": f"{DOUBLES}:{path}" if path else str(DOUBLES)}


def make_folder(
    checkpoint: Path,
    out: Path,
    *,
    slots: int = 2,
    max_queued: int = 3,
    max_total_tokens: int = 2000,
    tp: int = 1,
    version: str = VERSION,
    **changes: object,
) -> Path:
    """bf16; ``changes`` are arguments of the LLM API, None removes one."""
    build_engine(
        BuildRequest(
            checkpoint=checkpoint, out=out, runtime="tensorrt_llm", precision="bf16", slots=slots,
            max_queued=max_queued, max_total_tokens=max_total_tokens, skip_verify=True,
            trtllm=GpuOptions(tp=tp, preset="latency"),
        ),
        SilentReporter(),
    )  # fmt: skip
    path = out / llm_args.FILE_NAME
    args = llm_args.read(path)
    llm_args.write(path, {k: v for k, v in (args | changes).items() if v is not None})
    write_manifest(out, read_manifest(out).model_copy(update={"runtime_version": version}))
    return out
