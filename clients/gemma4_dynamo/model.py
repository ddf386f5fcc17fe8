"""The model of an engine folder, as a worker registers it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gemma4_client import ServerInfo
from gemma4_runtime.manifest import EngineFolderError, Manifest, read_manifest
from gemma4_runtime.model_name import model_name

from gemma4_dynamo.card import NEEDED
from gemma4_dynamo.load import BLOCK_TOKENS, Capacity
from gemma4_dynamo.options import OptionsError

__all__ = ["PARSER", "Model", "read_model"]

PARSER = "gemma4"
"""Dynamo's name of its parsers of Gemma 4's tool calls and thoughts."""


@dataclass(frozen=True, slots=True)
class Model:
    """``folder`` has tokenizer, template and configuration, which Dynamo's frontend reads too; a
    worker registers :func:`~gemma4_dynamo.card.card_folder` of it.
    ``slots`` and ``kv_blocks`` are of one server. ``name`` is the checkpoint's."""

    folder: Path
    name: str
    vocab_size: int
    context_length: int
    eos_ids: frozenset[int]
    bos_id: int
    slots: int
    kv_blocks: int | None

    def capacity(self, servers: int) -> Capacity:
        """Return that of so many servers together."""
        blocks = None if self.kv_blocks is None else self.kv_blocks * servers
        return Capacity(self.slots * servers, blocks)

    def check(self, address: str, info: ServerInfo) -> None:
        """Raise :class:`~gemma4_dynamo.options.OptionsError` when the server at ``address`` runs
        an engine of another model, or of other limits, than this folder's."""
        for what, theirs, ours in (
            ("serves the model", info.model, self.name),
            ("has the vocabulary size", info.vocab_size, self.vocab_size),
            ("holds so many tokens of a request:", info.max_total_tokens, self.context_length),
        ):
            if theirs != ours:
                raise OptionsError(
                    f"--server {address}: {what} {theirs}, the engine of --engine {self.folder} "
                    f"{ours}; give the folder that the server serves"
                )


def read_model(engine: Path) -> Model:
    """Read the folder. Raises :class:`~gemma4_dynamo.options.OptionsError`."""
    try:
        manifest = read_manifest(engine)
    except EngineFolderError as error:
        raise OptionsError(f"--engine {error}") from None
    folder = _files_of(engine, manifest)
    return Model(
        folder=folder.resolve(),
        name=model_name(manifest.source.name),
        vocab_size=manifest.model.vocab_size,
        context_length=manifest.limits.max_total_tokens,
        eos_ids=_eos_ids(engine),
        bos_id=manifest.model.bos_id,
        slots=manifest.limits.slots,
        kv_blocks=_kv_blocks(manifest),
    )


def _files_of(engine: Path, manifest: Manifest) -> Path:
    """Return the folder that has what Dynamo reads: this one, or the checkpoint inside."""
    folders = [engine]
    if manifest.tensorrt_llm is not None:
        folders.append(engine / manifest.tensorrt_llm.checkpoint)
    for folder in folders:
        if all((folder / name).is_file() for name in NEEDED):
            return folder
    raise OptionsError(
        f"--engine {engine}: lacks {' or '.join(NEEDED)}, which Dynamo reads; build it again"
    )


def _eos_ids(engine: Path) -> frozenset[int]:
    found = json.loads((engine / "generation_config.json").read_text())["eos_token_id"]
    return frozenset(found if isinstance(found, list) else [found])


def _kv_blocks(manifest: Manifest) -> int | None:
    """Only llama.cpp's KV cache has a size that is known before it starts: each slot has its
    own."""
    if manifest.runtime != "llama_cpp":
        return None
    return manifest.limits.slots * manifest.limits.max_total_tokens // BLOCK_TOKENS
