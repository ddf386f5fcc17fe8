"""GGUF files of a checkpoint as others publish them: llama.cpp's keys, types and rounding.

They are written here byte by byte, and not by the build's own code, so that they can be compared
with it, and damaged at will.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gemma4_build.checkpoint import open_checkpoint
from gguf import GGMLQuantizationType, GGUFValueType, TokenType

from gemma4_testing.engine_folders.ggml_quantizer import kind_for, quantize

__all__ = ["PublishedGguf", "StoredTensor", "publish"]

_FORMATS = {
    GGUFValueType.UINT32: "I", GGUFValueType.INT32: "i", GGUFValueType.FLOAT32: "f",
    GGUFValueType.BOOL: "?", GGUFValueType.UINT64: "Q",
}  # fmt: skip
_VISIBLE = (
    "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>",
    "<tool_response|>", '<|"|>',
)  # fmt: skip
"""Markers that llama.cpp's converter makes visible."""


@dataclass
class StoredTensor:
    """``shape`` is row-major."""

    name: str
    shape: tuple[int, ...]
    kind: int
    data: bytes


@dataclass
class PublishedGguf:
    """What a file has in it. ``keys``: a type and a value; of an array the type of its elements and
    a list."""

    keys: dict[str, tuple[GGUFValueType, Any]] = field(default_factory=dict)
    tensors: list[StoredTensor] = field(default_factory=list)
    version: int = 3

    def tensor(self, name: str) -> StoredTensor:
        """Return the tensor of that name."""
        return next(each for each in self.tensors if each.name == name)

    def head(self) -> bytes:
        """Return all that stands before the tensors' data."""
        parts = [
            b"GGUF", struct.pack("<IQQ", self.version, len(self.tensors), len(self.keys))
        ]  # fmt: skip
        for name, (kind, value) in self.keys.items():
            is_array = isinstance(value, list)
            parts.append(_text(name))
            if is_array:
                parts.append(struct.pack("<IIQ", GGUFValueType.ARRAY, kind, len(value)))
            else:
                parts.append(struct.pack("<I", kind))
            parts.append(_values(kind, value if is_array else [value]))
        offset = 0
        for tensor in self.tensors:
            sizes = tensor.shape[::-1]
            parts += [_text(tensor.name), struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)]
            parts.append(struct.pack("<IQ", tensor.kind, offset))
            offset += len(_padded(tensor.data))
        return _padded(b"".join(parts))

    def write(self, path: Path) -> Path:
        """Write the file; returns its path."""
        with path.open("wb") as file:
            file.write(self.head())
            for tensor in self.tensors:
                file.write(_padded(tensor.data))
        return path


def publish(
    checkpoint: Path, kind: GGMLQuantizationType, embedding: GGMLQuantizationType | None = None
) -> PublishedGguf:
    """Return a file of ``checkpoint`` in ``kind``, or what llama.cpp takes instead where rows are too
    short for it; ``embedding`` None: the same."""
    made = PublishedGguf(keys=_general(kind))
    with open_checkpoint(checkpoint) as source:
        made.keys |= _model(json.loads((checkpoint / "config.json").read_text())["text_config"])
        made.keys |= _tokenizer(checkpoint, source.spec.vocab)
        half = source.spec.global_head_dim // 2
        factors = np.full(half, 1e30, np.float32)
        factors[: half // 4] = 1
        f32 = GGMLQuantizationType.F32
        made.tensors.append(StoredTensor("rope_freqs.weight", (half,), f32, factors.tobytes()))
        for rule in source.rules:
            if rule.kind == "unused":
                continue
            values = source.tensors[rule.name].read_float32().reshape(rule.shape)
            wanted = embedding or kind if rule.kind == "embedding" else kind
            stored = f32 if rule.kind == "exact" else kind_for(wanted, rule.shape[-1])
            made.tensors.append(
                StoredTensor(rule.gguf, rule.shape, stored, quantize(values, stored))
            )
    return made


def _general(kind: GGMLQuantizationType) -> dict[str, tuple[GGUFValueType, Any]]:
    text, number = GGUFValueType.STRING, GGUFValueType.UINT32
    return {
        "general.architecture": (text, "gemma4"),
        "general.type": (text, "model"),
        "general.name": (text, "Somebody's Gemma"),
        "general.quantized_by": (text, "Somebody"),
        "general.tags": (text, ["any-to-any", "gguf"]),
        "general.sampling.top_k": (GGUFValueType.INT32, 64),
        "general.sampling.temp": (GGUFValueType.FLOAT32, 1.0),
        "general.quantization_version": (number, 2),
        "general.file_type": (number, 2 if kind == GGMLQuantizationType.Q4_0 else 15),
    }


def _model(text: dict[str, Any]) -> dict[str, tuple[GGUFValueType, Any]]:
    number, real = GGUFValueType.UINT32, GGUFValueType.FLOAT32
    sliding = [kind == "sliding_attention" for kind in text["layer_types"]]
    heads = [
        text["num_key_value_heads" if each else "num_global_key_value_heads"] for each in sliding
    ]
    keys = {
        "block_count": (number, text["num_hidden_layers"]),
        "context_length": (number, text["max_position_embeddings"]),
        "embedding_length": (number, text["hidden_size"]),
        "feed_forward_length": (number, text["intermediate_size"]),
        "attention.head_count": (number, text["num_attention_heads"]),
        "attention.head_count_kv": (GGUFValueType.INT32, heads),
        "rope.freq_base": (real, 1e6),
        "rope.freq_base_swa": (real, 1e4),
        "attention.layer_norm_rms_epsilon": (real, text["rms_norm_eps"]),
        "expert_count": (number, text["num_experts"]),
        "expert_used_count": (number, text["top_k_experts"]),
        "attention.key_length": (number, text["global_head_dim"]),
        "attention.value_length": (number, text["global_head_dim"]),
        "final_logit_softcapping": (real, text["final_logit_softcapping"]),
        "attention.sliding_window": (number, text["sliding_window"]),
        "attention.shared_kv_layers": (number, 0),
        "embedding_length_per_layer_input": (number, 0),
        "attention.sliding_window_pattern": (GGUFValueType.BOOL, sliding),
        "attention.key_length_swa": (number, text["head_dim"]),
        "attention.value_length_swa": (number, text["head_dim"]),
        "expert_feed_forward_length": (number, text["moe_intermediate_size"]),
        "rope.dimension_count": (number, text["global_head_dim"]),
        "rope.dimension_count_swa": (number, text["head_dim"]),
    }
    return {f"gemma4.{name}": value for name, value in keys.items()}


def _tokenizer(folder: Path, size: int) -> dict[str, tuple[GGUFValueType, Any]]:
    text, number = GGUFValueType.STRING, GGUFValueType.UINT32
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    ids = data["model"]["vocab"] | {each["content"]: each["id"] for each in data["added_tokens"]}
    tokens = sorted(ids, key=ids.__getitem__)
    assert [ids[token] for token in tokens] == list(range(size))
    special = {each["content"] for each in data["added_tokens"] if each["special"]} - {"<eos>"}
    types = []
    for token in tokens:
        if token in _VISIBLE:
            types.append(TokenType.USER_DEFINED)
        elif token in special:
            types.append(TokenType.CONTROL)
        elif len(token) == 6 and token.startswith("<0x"):
            types.append(TokenType.BYTE)
        else:
            types.append(TokenType.NORMAL)
    merges = [each if isinstance(each, str) else " ".join(each) for each in data["model"]["merges"]]
    ours = "tokenizer.ggml."
    return {
        f"{ours}model": (text, "gemma4"),
        f"{ours}tokens": (text, tokens),
        f"{ours}scores": (GGUFValueType.FLOAT32, [-1000.0] * size),
        f"{ours}token_type": (GGUFValueType.INT32, types),
        f"{ours}merges": (text, merges),
        f"{ours}bos_token_id": (number, 2),
        f"{ours}eos_token_id": (number, 106),
        f"{ours}unknown_token_id": (number, 3),
        f"{ours}padding_token_id": (number, 0),
        f"{ours}add_space_prefix": (GGUFValueType.BOOL, False),
        f"{ours}add_bos_token": (GGUFValueType.BOOL, True),
        "tokenizer.chat_template": (text, "{{ messages[0].content }}"),
    }


def _values(kind: GGUFValueType, values: list[Any]) -> bytes:
    if kind == GGUFValueType.STRING:
        return b"".join(map(_text, values))
    return struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 32)
