"""What config.json says about the model, checked and in one form.

transformers wrote ``global_head_dim`` and ``num_global_key_value_heads`` first; from 5.15 on it
writes ``per_layer_config`` instead. Both are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemma4_runtime.strict_json import JsonFileError, read_object

from gemma4_build.errors import BadCheckpointError, MissingFileError, UnsupportedModelError

__all__ = [
    "ARCHITECTURE",
    "TEXT_KEYS",
    "VISION_KEYS",
    "ModelSpec",
    "TextSizes",
    "VisionSizes",
    "VisionSpec",
    "parse_config",
    "read_config",
]

ARCHITECTURE = "Gemma4ForConditionalGeneration"
_MOST = 2**31 - 1
"""Of an integer: GGUF's keys are 32 bits wide."""

_MOST_LAYERS = 1024
"""Layers beyond which a config is taken for damaged; the 26B has 30."""
_WAY_OUT = "this project builds Gemma 4 26B-A4B (google/gemma-4-26B-A4B-it) only"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSizes:
    """Sizes of the text model: ``head_dim``/``kv_heads`` are the sliding layers', ``global_*`` the
    full ones'."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    global_kv_heads: int
    head_dim: int
    global_head_dim: int
    intermediate: int
    moe_intermediate: int
    experts: int
    experts_per_token: int
    window: int
    context: int


TEXT_KEYS = {
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "global_kv_heads": "num_global_key_value_heads",
    "head_dim": "head_dim",
    "global_head_dim": "global_head_dim",
    "intermediate": "intermediate_size",
    "moe_intermediate": "moe_intermediate_size",
    "experts": "num_experts",
    "experts_per_token": "top_k_experts",
    "window": "sliding_window",
    "context": "max_position_embeddings",
}
"""The key of each of :class:`TextSizes` in ``text_config``."""
_STYLED = ("global_kv_heads", "global_head_dim")
"""Those that transformers writes in two styles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionSizes:
    """Sizes of the vision tower."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    head_dim: int
    patch: int
    positions: int


VISION_KEYS = {
    "hidden": "hidden_size",
    "intermediate": "intermediate_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "head_dim": "head_dim",
    "patch": "patch_size",
    "positions": "position_embedding_size",
}
"""The key of each of :class:`VisionSizes` in ``vision_config``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionSpec(VisionSizes):
    """The vision tower, which is checked and left out: only text is served."""

    standardize: bool

    @property
    def patch_values(self) -> int:
        """Colors of the pixels of a patch."""
        return 3 * self.patch**2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec(TextSizes):
    """The text model. ``sliding[i]`` is true where layer i has sliding-window attention."""

    vocab: int
    sliding: tuple[bool, ...]
    softcap: float
    eps: float
    rope_theta: float
    global_rope_theta: float
    partial_rotary: float
    bos_id: int
    eos_id: int
    pad_id: int
    vision: VisionSpec | None

    def layer_head_dim(self, layer: int) -> int:
        return self.head_dim if self.sliding[layer] else self.global_head_dim

    def layer_kv_heads(self, layer: int) -> int:
        return self.kv_heads if self.sliding[layer] else self.global_kv_heads

    @property
    def active_parameters(self) -> int:
        """Weights of the layers that one token meets; embedding and output not counted."""
        attention = sum(
            self.hidden
            * self.layer_head_dim(i)
            * (2 * self.heads + (2 if self.sliding[i] else 1) * self.layer_kv_heads(i))
            for i in range(self.layers)
        )
        width = self.intermediate + self.experts_per_token * self.moe_intermediate
        return attention + self.layers * self.hidden * (3 * width + self.experts)

    @property
    def rotated_pairs(self) -> int:
        """Rotated pairs of a full layer's head; the rest of the head has frequency 0."""
        return int(self.partial_rotary * self.global_head_dim // 2)

    @property
    def kv_values_sliding(self) -> int:
        """K and V values per token, summed over the sliding layers."""
        return sum(self.sliding) * 2 * self.kv_heads * self.head_dim

    @property
    def kv_values_full(self) -> int:
        """K and V values per token, summed over the full layers."""
        full = self.layers - sum(self.sliding)
        return full * 2 * self.global_kv_heads * self.global_head_dim


def read_config(folder: Path) -> ModelSpec:
    """Parse ``folder/config.json``. Raises :class:`BadCheckpointError` and its kinds."""
    path = folder / "config.json"
    try:
        data = read_object(path)
    except FileNotFoundError:
        raise MissingFileError(
            f"{path}: not found; give the folder of a Hugging Face checkpoint"
        ) from None
    except (OSError, JsonFileError) as error:
        raise BadCheckpointError(f"{path}: cannot be read ({error}); download it again") from None
    return parse_config(data, where=str(path))


def parse_config(data: Mapping[str, Any], *, where: str) -> ModelSpec:
    """Return the :class:`ModelSpec` of a parsed config.json; ``where`` names it in errors."""
    _check_architecture(data, where)
    text = _Section(data.get("text_config"), f"{where}: text_config")
    _check_variant(text, data, where)
    layers = text.integer("num_hidden_layers")
    if layers > _MOST_LAYERS:
        raise UnsupportedModelError(f"{text.where}: {layers} layers; {_WAY_OUT}")
    sliding = _layer_types(text, layers)
    sizes = {field: text.integer(key) for field, key in TEXT_KEYS.items() if field not in _STYLED}
    sizes["global_head_dim"], sizes["global_kv_heads"] = _global_heads(text, sliding)
    rope = _Section(text.get("rope_parameters"), f"{where}: text_config.rope_parameters")
    rope_sliding = _Section(rope.get("sliding_attention"), f"{rope.where}.sliding_attention")
    rope_full = _Section(rope.get("full_attention"), f"{rope.where}.full_attention")
    _expect(rope_sliding, "rope_type", "default")
    _expect(rope_full, "rope_type", "proportional")
    _expect(text, "hidden_activation", "gelu_pytorch_tanh")
    spec = ModelSpec(
        **sizes,
        vocab=text.integer("vocab_size"),
        sliding=sliding,
        softcap=text.number("final_logit_softcapping"),
        eps=text.number("rms_norm_eps"),
        rope_theta=rope_sliding.number("rope_theta"),
        global_rope_theta=rope_full.number("rope_theta"),
        partial_rotary=rope_full.number("partial_rotary_factor"),
        bos_id=text.integer("bos_token_id", least=0),
        eos_id=text.integer("eos_token_id", least=0),
        pad_id=text.integer("pad_token_id", least=0),
        vision=_vision(data.get("vision_config"), where),
    )
    _check_sizes(spec, text.where)
    return spec


def _check_sizes(spec: ModelSpec, where: str) -> None:
    """Check what no tensor's shape shows."""
    wrong = (
        ("top_k_experts", spec.experts_per_token > spec.experts, "more than num_experts"),
        ("num_key_value_heads", spec.heads % spec.kv_heads, "no divisor of num_attention_heads"),
        (
            "num_global_key_value_heads",
            spec.heads % spec.global_kv_heads,
            "no divisor of num_attention_heads",
        ),
        ("partial_rotary_factor", spec.partial_rotary > 1, "more than 1"),
        ("rms_norm_eps", spec.eps >= 1, "1 or more"),
    )
    for key, is_wrong, what in wrong:
        if is_wrong:
            raise BadCheckpointError(f"{where}: {key} is {what}; download config.json again")


class _Section:
    """A JSON object whose missing or bad values become errors that name them."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise BadCheckpointError(f"{where}: missing or not an object; {_WAY_OUT}")
        self.data = data
        self.where = where

    def get(self, key: str) -> Any:
        return self.data.get(key)

    def integer(self, key: str, *, least: int = 1) -> int:
        value = self.data.get(key)
        if type(value) is not int or not least <= value <= _MOST:
            raise BadCheckpointError(
                f"{self.where}.{key} is {value!r}; need an integer from {least} to {_MOST}; "
                "download config.json again"
            )
        return value

    def number(self, key: str) -> float:
        value = self.data.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST:
            raise BadCheckpointError(
                f"{self.where}.{key} is {value!r}; need a number from 0 to {_MOST}; "
                "download config.json again"
            )
        return float(value)


def _expect(section: _Section, key: str, wanted: object) -> None:
    value = section.get(key)
    if value != wanted:
        raise UnsupportedModelError(
            f"{section.where}.{key} is {value!r}, need {wanted!r}; {_WAY_OUT}"
        )


def _check_architecture(data: Mapping[str, Any], where: str) -> None:
    names = data.get("architectures") or []
    if not isinstance(names, list):
        names = [names]
    model_type = str(data.get("model_type", ""))
    if ARCHITECTURE not in names or model_type != "gemma4":
        found = ", ".join(map(str, names)) or model_type or "nothing"
        known = {"gemma3": "Gemma 3", "gemma3_text": "Gemma 3", "gemma3n": "Gemma 3n"}
        family = known.get(model_type)
        says = f"{family} ({found})" if family else f"architecture {found}"
        raise UnsupportedModelError(f"{where}: {says}; {_WAY_OUT}")
    if data.get("quantization_config") is not None:
        quantized = _Section(data["quantization_config"], f"{where}: quantization_config")
        method = quantized.get("quant_method")
        raise UnsupportedModelError(
            f"{where}: the checkpoint is already quantized ({method}); "
            "build from the bf16 checkpoint and choose --precision"
        )


def _check_variant(text: _Section, data: Mapping[str, Any], where: str) -> None:
    if text.get("hidden_size_per_layer_input") or text.get("num_kv_shared_layers"):
        layers = text.get("num_hidden_layers")
        raise UnsupportedModelError(
            f"{where}: Gemma 4 E2B/E4B ({layers} layers, per-layer embeddings); {_WAY_OUT}"
        )
    if not text.get("enable_moe_block"):
        raise UnsupportedModelError(
            f"{where}: a dense Gemma 4 without experts, such as 31B; {_WAY_OUT}"
        )
    _expect(text, "attention_k_eq_v", True)
    if text.get("use_double_wide_mlp") or text.get("attention_bias"):
        raise UnsupportedModelError(
            f"{where}: use_double_wide_mlp or attention_bias is set; {_WAY_OUT}"
        )
    if data.get("tie_word_embeddings") is False or text.get("tie_word_embeddings") is False:
        raise UnsupportedModelError(f"{where}: tie_word_embeddings is false; {_WAY_OUT}")
    if data.get("audio_config") is not None:
        raise UnsupportedModelError(f"{where}: audio_config is set (E2B/E4B); {_WAY_OUT}")


def _layer_types(text: _Section, layers: int) -> tuple[bool, ...]:
    kinds = text.get("layer_types")
    known = {"sliding_attention": True, "full_attention": False}
    if (
        not isinstance(kinds, list)
        or len(kinds) != layers
        or any(not isinstance(kind, str) or kind not in known for kind in kinds)
    ):
        raise BadCheckpointError(
            f"{text.where}.layer_types: need {layers} of sliding_attention or full_attention"
        )
    sliding = tuple(known[kind] for kind in kinds)
    if all(sliding) or not any(sliding):
        raise UnsupportedModelError(f"{text.where}.layer_types: need both kinds; {_WAY_OUT}")
    return sliding


def _global_heads(text: _Section, sliding: tuple[bool, ...]) -> tuple[int, int]:
    """Return head_dim and key/value heads of the full layers, from either style."""
    if text.get("global_head_dim") is not None:
        head_dim, kv_heads = TEXT_KEYS["global_head_dim"], TEXT_KEYS["global_kv_heads"]
        return text.integer(head_dim), text.integer(kv_heads)
    per_layer = _Section(
        text.get("per_layer_config"),
        f"{text.where}: neither global_head_dim nor per_layer_config; per_layer_config",
    )
    where = f"{text.where}.per_layer_config"
    by_index = {int(k): v for k, v in per_layer.data.items() if re.fullmatch("[0-9]{1,9}", str(k))}
    found = set()
    for layer, is_sliding in enumerate(sliding):
        if is_sliding:
            if by_index.get(layer):
                raise UnsupportedModelError(f"{where}.{layer}: a sliding layer; {_WAY_OUT}")
            continue
        entry = _Section(by_index.get(layer), f"{where}.{layer}")
        found.add((entry.integer("head_dim"), entry.integer("num_key_value_heads")))
    if len(found) != 1:
        raise UnsupportedModelError(f"{where}: the full layers differ {sorted(found)}; {_WAY_OUT}")
    return found.pop()


def _vision(data: Any, where: str) -> VisionSpec | None:
    if data is None:
        return None
    vision = _Section(data, f"{where}: vision_config")
    if vision.get("use_clipped_linears"):
        raise UnsupportedModelError(f"{vision.where}.use_clipped_linears is set; {_WAY_OUT}")
    return VisionSpec(
        **{field: vision.integer(key) for field, key in VISION_KEYS.items()},
        standardize=bool(vision.get("standardize")),
    )
