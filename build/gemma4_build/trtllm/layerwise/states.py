"""The hidden states between two layers: one tensor a sequence of texts, [1, tokens, hidden] bf16,
in host memory. Needs torch."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers.models.gemma4.modeling_gemma4 import Gemma4TextScaledWordEmbedding

from gemma4_build.checkpoint import Checkpoint
from gemma4_build.tensor_table import EMBEDDING
from gemma4_build.trtllm.hf_config import read_json
from gemma4_build.trtllm.layerwise.layer_model import read_bf16

__all__ = ["States", "embed", "load_states", "save_states"]

States = list[torch.Tensor]

_PLACEHOLDERS = ("image_token_id", "video_token_id", "audio_token_id")


def embed(checkpoint: Checkpoint, sequences: list[list[int]]) -> States:
    """Return what reaches layer 0. Only the rows of the embedding that occur are read.

    Placeholders of images and sounds are embedded as padding, as Gemma4Model does."""
    spec, config = checkpoint.spec, read_json(checkpoint.folder / "config.json")
    placeholders = {config.get(name) for name in _PLACEHOLDERS}
    texts = [[spec.pad_id if i in placeholders else i for i in sequence] for sequence in sequences]
    used = sorted({token for text in texts for token in text})
    stored, hidden = checkpoint.tensors[EMBEDDING], spec.hidden
    rows = torch.stack([read_bf16(stored, token * hidden, hidden) for token in used])
    module = Gemma4TextScaledWordEmbedding(len(used), hidden, 0, embed_scale=hidden**0.5)
    module.weight = torch.nn.Parameter(rows, requires_grad=False)
    place = {token: row for row, token in enumerate(used)}
    with torch.inference_mode():
        return [module(torch.tensor([[place[token] for token in text]])) for text in texts]


def save_states(states: States, path: Path, *, layer: int, digest: str) -> None:
    """Save the states. ``layer`` is the next one. An older file is replaced at once. Raises
    :class:`OSError`."""
    fresh = path.with_suffix(".part")
    tensors = {str(number): state.contiguous() for number, state in enumerate(states)}
    save_file(tensors, fresh, metadata={"layer": str(layer), "digest": digest})
    fresh.replace(path)


def load_states(path: Path, *, digest: str) -> tuple[States, int] | None:
    """Return the states and the next layer; None if there are none of the run with this
    ``digest``."""
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        if metadata["digest"] != digest:
            return None
        # The file is mapped, and will be replaced.
        states = [file.get_tensor(str(n)).clone() for n in range(len(file.keys()))]
        return states, int(metadata["layer"])
