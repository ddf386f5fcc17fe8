"""An engine folder of the tensorrt_llm runtime, put together from the demo checkpoint."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from gemma4_build.checkpoint import TEXT_FILES, source_files
from gemma4_build.manifest import file_entries, tool_version, write_manifest
from gemma4_build.model_spec import ARCHITECTURE, read_config
from gemma4_build.vocabulary import read_vocabulary
from gemma4_runtime.engine_folder import Manifest, ModelFacts, Source
from gemma4_runtime.trtllm import llm_args
from gemma4_runtime.trtllm.api import VERSION

DOUBLES = Path(__file__).parent / "doubles"


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
    shutil.copytree(checkpoint, out / "checkpoint")
    for name in TEXT_FILES:
        shutil.copyfile(checkpoint / name, out / name)
    args = llm_args.compose(
        "latency", precision="bf16", tp=tp, ep=1, attention_dp=False, slots=slots,
        max_total_tokens=max_total_tokens,
    )  # fmt: skip
    args = {k: v for k, v in (args | changes).items() if v is not None}
    llm_args.write(out / llm_args.FILE_NAME, args)
    spec = read_config(checkpoint)
    weights = "checkpoint/model.safetensors"
    write_manifest(
        out,
        Manifest.model_validate(
            {
                "schema_version": 1,
                "runtime": "tensorrt_llm",
                "runtime_version": version,
                "source": Source(
                    name=checkpoint.name,
                    architecture=ARCHITECTURE,
                    files=source_files(checkpoint, ()),
                ),
                "precision": "bf16",
                "tensor_parallel": tp,
                "limits": {
                    "max_total_tokens": max_total_tokens,
                    "max_prompt_tokens": max_total_tokens - 1,
                    "slots": slots,
                    "max_queued": max_queued,
                },
                "model": ModelFacts(
                    layers=spec.layers, sliding_layers=sum(spec.sliding), hidden_size=spec.hidden,
                    vocab_size=spec.vocab, bos_id=spec.bos_id,
                    eos_ids=read_vocabulary(checkpoint, spec).eos_ids, pad_id=spec.pad_id,
                    sliding_window=spec.window, context_length=spec.context, experts=spec.experts,
                    experts_per_token=spec.experts_per_token,
                ),
                "memory": {
                    "weight_bytes": (out / weights).stat().st_size,
                    "kv_bytes_per_token_sliding": 0, "kv_bytes_per_token_full": 0,
                    "sliding_cells": 0, "compute_bytes": 0,
                },
                "tensorrt_llm": {"preset": "latency"},
                "verified": False,
                "unverified_reason": "put together by a test",
                "build_key": "0" * 64,
                "tool_version": tool_version(),
                "created_at": datetime.now(UTC).replace(microsecond=0),
                "files": file_entries(out, (*TEXT_FILES, weights)),
            }
        ),
    )  # fmt: skip
    return out
