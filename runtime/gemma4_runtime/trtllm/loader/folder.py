"""Sizes and precision of a checkpoint folder, from its JSON files."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from gemma4_runtime.strict_json import read_object
from gemma4_runtime.trtllm.loader.shape import Shape

__all__ = ["PRECISION_OF", "read_folder"]

PRECISION_OF = {"FP8": "fp8", "NVFP4": "nvfp4", "W4A8_AWQ": "int4"}
"""Our name of ModelOpt's ``quant_algo``."""

_KEYS = {
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "global_kv_heads": "num_global_key_value_heads",
    "head_dim": "head_dim",
    "global_head_dim": "global_head_dim",
    "experts": "num_experts",
    "expert_width": "moe_intermediate_size",
    "dense_width": "intermediate_size",
}
_DENSE = "model.language_model.layers.0.mlp.gate_proj"


def read_folder(folder: Path) -> tuple[Shape, str, bool]:
    """Return the sizes, the precision and whether the dense MLPs are stored in it too.

    Raises :class:`ValueError` (also for bad JSON) and :class:`OSError`; the text names the key.
    """
    config = read_object(folder / "config.json")
    text = config.get("text_config")
    if not isinstance(text, dict):
        raise ValueError("text_config is missing")
    sizes: dict[str, int] = {}
    for name, key in _KEYS.items():
        value = text.get(key)
        if type(value) is not int or value < 1:
            raise ValueError(f"text_config.{key} is {value!r}, need a positive integer")
        sizes[name] = value
    algorithm, excluded = _quantization(folder, config)
    if algorithm is None:
        return Shape(**sizes), "bf16", False
    if algorithm not in PRECISION_OF:
        raise ValueError(f"quant_algo is {algorithm!r}, known are {', '.join(PRECISION_OF)}")
    dense = not any(fnmatchcase(_DENSE, pattern) for pattern in excluded)
    return Shape(**sizes), PRECISION_OF[algorithm], dense


def _quantization(folder: Path, config: dict[str, Any]) -> tuple[Any, list[str]]:
    path = folder / "hf_quant_config.json"
    if path.is_file():
        found = read_object(path).get("quantization")
        patterns = found.get("exclude_modules") if isinstance(found, dict) else None
    else:
        found = config.get("quantization_config")
        patterns = found.get("ignore") if isinstance(found, dict) else None
    if found is None:
        return None, []
    if not isinstance(found, dict):
        raise ValueError("the quantization is no object")
    return found.get("quant_algo"), [str(p) for p in patterns or []]
