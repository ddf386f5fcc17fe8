"""Quantize a one-layer model with ModelOpt and write its tensors under their real names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from modelopt.torch.export import export_hf_checkpoint
from safetensors.torch import save_file

from gemma4_build.tensor_table import EMBEDDING
from gemma4_build.trtllm.hf_config import QUANT_CONFIG, read_json
from gemma4_build.trtllm.layerwise.names import layer_prefix
from gemma4_build.trtllm.layerwise.quant_config import LayerConfig

__all__ = ["export_layer"]

_NOT_OF_THE_LAYER = {EMBEDDING, "lm_head.weight"}


def export_layer(model: Any, layer: int, shard: Path, scratch: Path) -> LayerConfig:
    """Let ModelOpt pack the calibrated ``model``, and write what it would save to ``shard``, under
    the names of ``layer``. ``scratch`` is a folder to be made, used and removed.

    ``model`` is of no use afterward. Raises :class:`RuntimeError` for tensors that are not the
    layer's, and :class:`OSError`."""
    model.save_pretrained = _saver(layer, shard)
    try:
        with torch.inference_mode():
            export_hf_checkpoint(model, export_dir=scratch)
        return LayerConfig(
            read_json(scratch / QUANT_CONFIG),
            read_json(scratch / "config.json")["quantization_config"],
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _saver(layer: int, shard: Path) -> Callable[..., None]:
    """Return what runs instead of ``save_pretrained``, which ModelOpt's export ends with."""

    def save(folder: Path, *, state_dict: dict[str, torch.Tensor], **unused: object) -> None:
        del unused
        config = Path(folder) / "config.json"
        # The export adds its quantization_config to it.
        config.write_text(json.dumps({}))
        save_file(_renamed(state_dict, layer), shard, metadata={"format": "pt"})
        # The library lets nobody else read its files.
        shutil.copymode(config, shard)

    return save


def _renamed(tensors: dict[str, torch.Tensor], layer: int) -> dict[str, torch.Tensor]:
    """Return the tensors on the CPU, each in memory of its own, as the safetensors library wants
    them."""
    found: dict[str, torch.Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        if name in _NOT_OF_THE_LAYER:
            continue
        if not name.startswith(layer_prefix(0)):
            raise RuntimeError(f"ModelOpt exported {name}, which is no tensor of layer {layer}")
        plain = tensor.detach().cpu().contiguous()
        if plain.untyped_storage().data_ptr() in places:
            plain = plain.clone()
        places.add(plain.untyped_storage().data_ptr())
        found[layer_prefix(layer) + name.removeprefix(layer_prefix(0))] = plain
    return found
