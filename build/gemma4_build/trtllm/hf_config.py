"""config.json as TensorRT-LLM's transformers reads it, and what it says about quantization.

TensorRT-LLM needs transformers below 5.15. Tried: 5.10.1 reads the new ``per_layer_config`` style
without an error as global_head_dim 512 and no global key/value heads, and does not know the vision
tower's rope type "axial"; 5.14.1 refuses the new style. Both read the old style. So that is what is
written, whatever the source's style.
"""

from __future__ import annotations

import copy
import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from gemma4_runtime.strict_json import JsonFileError, read_object

from gemma4_build.errors import BadCheckpointError, MissingFileError, QuantizationError
from gemma4_build.model_spec import ModelSpec
from gemma4_build.tensor_table import checkpoint_tensors
from gemma4_build.trtllm.formats import Scheme, linears

__all__ = [
    "QUANT_CONFIG", "check_quant_config", "old_style", "quantization_of", "read_json", "write_json",
]  # fmt: skip

QUANT_CONFIG = "hf_quant_config.json"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises :class:`MissingFileError` and :class:`BadCheckpointError`."""
    try:
        return read_object(path)
    except FileNotFoundError:
        raise MissingFileError(f"{path}: not found; give the folder of a checkpoint") from None
    except (OSError, JsonFileError) as error:
        raise BadCheckpointError(f"{path}: cannot be read ({error}); download it again") from None


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write the file. Raises :class:`OSError`."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def old_style(source: dict[str, Any], spec: ModelSpec) -> dict[str, Any]:
    """Return the source's config with the keys of the old style and ``spec``'s widths (which
    padding may have changed), without quantization."""
    config = copy.deepcopy(source)
    config.pop("quantization_config", None)
    text = config["text_config"]
    text.pop("per_layer_config", None)
    text["global_head_dim"] = spec.global_head_dim
    text["num_global_key_value_heads"] = spec.global_kv_heads
    text["intermediate_size"] = spec.intermediate
    text["moe_intermediate_size"] = spec.moe_intermediate
    vision = config.get("vision_config")
    if isinstance(vision, dict):
        rope = vision.get("rope_parameters")
        if isinstance(rope, dict) and rope.get("rope_type") == "axial":
            rope["rope_type"] = "default"
    return config


def quantization_of(folder: Path) -> dict[str, Any] | None:
    """Return ``quantization`` of the folder's hf_quant_config.json, or the same from config.json;
    None for a checkpoint that is not quantized. ``exclude_modules`` is always a list.

    Raises :class:`BadCheckpointError` for other methods than ModelOpt's, by name.
    """
    config = read_json(folder / "config.json").get("quantization_config")
    path = folder / QUANT_CONFIG
    if path.is_file():
        found = read_json(path).get("quantization")
        if not isinstance(found, dict):
            raise BadCheckpointError(f"{path}: has no 'quantization'; download it again")
        return {**found, "exclude_modules": _patterns(found.get("exclude_modules"), path)}
    if config is None:
        return None
    method = config.get("quant_method", "unknown method") if isinstance(config, dict) else "?"
    if method != "modelopt":
        raise BadCheckpointError(
            f"{folder / 'config.json'}: quantized with {method}, which TensorRT-LLM does not load "
            "for this model's experts; take the bf16 checkpoint and --precision fp8 or nvfp4, or "
            "one that NVIDIA ModelOpt exported (such as nvidia/Gemma-4-26B-A4B-NVFP4)"
        )
    cache = config.get("kv_cache_scheme")
    is_fp8 = isinstance(cache, dict) and cache.get("num_bits") == 8 and cache.get("type") == "float"
    return {
        "quant_algo": config.get("quant_algo"),
        "kv_cache_quant_algo": "FP8" if is_fp8 else None,
        "exclude_modules": _patterns(config.get("ignore"), folder / "config.json"),
    }


def _patterns(value: Any, path: Path) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(pattern, str) for pattern in value):
        raise BadCheckpointError(
            f"{path}: what is not quantized is {value!r}, no list of names; download it again"
        )
    return value


def check_quant_config(found: dict[str, Any], spec: ModelSpec, scheme: Scheme) -> None:
    """Raise :class:`QuantizationError` unless ``found`` says what the tensors are: TensorRT-LLM
    believes it, and would read a bf16 matrix as a quantized one or the other way round."""
    algorithm = found.get("quant_algo")
    if algorithm != scheme.algorithm:
        raise QuantizationError(
            f"{QUANT_CONFIG}: quant_algo is {algorithm!r}, need {scheme.algorithm!r}"
        )
    if found.get("kv_cache_quant_algo") not in ("FP8", None):
        raise QuantizationError(
            f"{QUANT_CONFIG}: kv_cache_quant_algo is {found.get('kv_cache_quant_algo')!r}, "
            "need 'FP8' or none"
        )
    block = found.get("group_size")
    if scheme.block is not None and block not in (scheme.block, None):
        raise QuantizationError(f"{QUANT_CONFIG}: group_size is {block!r}, need {scheme.block}")
    patterns = found["exclude_modules"]

    def excluded(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    for linear in linears(spec):
        if (linear.kind in scheme.kinds) == excluded(linear.name):
            state = "quantized" if linear.kind in scheme.kinds else "bf16"
            raise QuantizationError(
                f"{QUANT_CONFIG}: exclude_modules is wrong about {linear.name}, which is {state}"
            )
    for rule in checkpoint_tensors(spec):
        name = rule.name.removesuffix(".weight")
        is_matrix = len(rule.shape) == 2 and rule.name.endswith(".weight")
        if is_matrix and rule.kind in ("exact", "unused") and not excluded(name):
            raise QuantizationError(f"{QUANT_CONFIG}: exclude_modules lacks {name}, which is bf16")
    if not excluded("lm_head"):
        raise QuantizationError(f"{QUANT_CONFIG}: exclude_modules lacks lm_head, which is bf16")
