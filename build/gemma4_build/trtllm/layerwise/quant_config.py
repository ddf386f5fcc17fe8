"""The checkpoint's quantization config, from those that ModelOpt writes for each layer."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gemma4_build.trtllm.layerwise.names import layer_prefix

__all__ = ["LayerConfig", "merge"]


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """Of a model whose only layer is number 0. ``details`` is hf_quant_config.json, ``summary`` the
    same as ``quantization_config`` of config.json."""

    details: dict[str, Any]
    summary: dict[str, Any]


def merge(layers: Sequence[LayerConfig], outside: Sequence[str]) -> LayerConfig:
    """Merge ``layers[i]`` as layer i of one model. ``outside`` are modules beside the text model.

    Raises :class:`ValueError` where the layers are not all quantized in the same way."""
    excluded = {f"{module}*" for module in outside}
    first = layers[0]
    for number, layer in enumerate(layers):
        if _common(layer) != _common(first):
            raise ValueError(
                f"layer {number} was quantized as {_common(layer)}, layer 0 as {_common(first)}"
            )
        for pattern in layer.details["quantization"]["exclude_modules"]:
            excluded.add(pattern.replace(layer_prefix(0), layer_prefix(number)))
    merged = copy.deepcopy(first)
    merged.details["quantization"]["exclude_modules"] = sorted(excluded)
    merged.summary["ignore"] = sorted(excluded)
    return merged


def _common(layer: LayerConfig) -> dict[str, Any]:
    common = copy.deepcopy(layer.details)
    common["quantization"].pop("exclude_modules")
    return common
