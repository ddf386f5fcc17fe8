"""Names of the export's shards: what is outside the layers first, then one for each layer."""

from __future__ import annotations

from gemma4_build.tensor_table import PREFIX

__all__ = ["LAYERS", "layer_prefix", "shard_name"]

LAYERS = f"{PREFIX}layers."


def layer_prefix(layer: int) -> str:
    """Return the prefix with which the names of the layer's modules and tensors begin."""
    return f"{LAYERS}{layer}."


def shard_name(layer: int | None, layers: int) -> str:
    """Return the file name of ``layer``'s tensors; None: of those outside the ``layers`` layers."""
    number = 1 if layer is None else layer + 2
    return f"model-{number:05d}-of-{layers + 1:05d}.safetensors"
