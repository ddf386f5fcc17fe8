"""Underneath: the checkpoint as a float32 GGUF, decoded by llama.cpp with continuous batching."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.llama_cpp import LlamaCppEngine
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.output.vocab import load_token_table

_UNBOUNDED = 1_000_000
"""TensorRT-LLM's own queue has no bound."""


def open_decoder(model: Path, args: dict[str, Any]) -> LlamaCppEngine:
    """Build what is not built yet, and load it."""
    folder = _gguf_folder(model)
    manifest = read_manifest(folder)
    assert manifest.llama_cpp is not None
    return LlamaCppEngine(
        folder / "model.gguf",
        precision="f32",
        slots=args["max_batch_size"],
        max_queued=_UNBOUNDED,
        max_total_tokens=args["max_seq_len"] or manifest.model.context_length,
        vocab_size=manifest.model.vocab_size,
        table=load_token_table(model / "tokenizer.json"),
        options=manifest.llama_cpp,
        threads=1,
    )


def _gguf_folder(model: Path) -> Path:
    digest = hashlib.sha256()
    for file in sorted(model.iterdir()):
        if file.suffix in (".safetensors", ".json"):
            digest.update(file.name.encode() + file.read_bytes())
    cache = Path(tempfile.gettempdir()) / f"gemma4-trtllm-double-{os.getuid()}"
    cache.mkdir(exist_ok=True)
    folder = cache / digest.hexdigest()[:16]
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "engine.json").is_file():
            build_engine(
                BuildRequest(checkpoint=model, out=folder, precision="f32", skip_verify=True),
                SilentReporter(),
            )
    return folder
