"""Underneath: the checkpoint as a float32 GGUF, decoded by llama.cpp with continuous batching."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.llama_cpp.engine import LlamaCppEngine
from gemma4_runtime.engines.llama_cpp.penalties import Penalties
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import GenerationRequest, SamplingParams
from gemma4_runtime.output.vocab import load_token_table

_UNBOUNDED = 1_000_000
"""TensorRT-LLM's own queue has no bound."""


class _Ignoring(Penalties):
    """Counts what stands behind the ignored part of a prompt."""

    def __init__(self, sampling: SamplingParams, ids: list[int], ignored: int) -> None:
        super().__init__(sampling, ids[:ignored])
        self._counted = ids[ignored:]

    def bias(self, answer: Sequence[int]) -> dict[int, float]:
        return super().bias([*self._counted, *answer])

    def turns(self, answer: Sequence[int]) -> frozenset[int]:
        return super().turns([*self._counted, *answer])


class Decoder(LlamaCppEngine):
    """``ignored``: request key -> ``prompt_ignore_length``, to be set before a submit."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ignored: dict[str, int] = {}

    def _penalties(self, request: GenerationRequest) -> Penalties:
        return _Ignoring(request.sampling, request.input_ids, self.ignored.pop(request.key, 0))


def open_decoder(model: Path, args: dict[str, Any]) -> Decoder:
    """Build what is not built yet, and load it."""
    folder = _gguf_folder(model)
    manifest = read_manifest(folder)
    assert manifest.llama_cpp is not None
    return Decoder(
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
