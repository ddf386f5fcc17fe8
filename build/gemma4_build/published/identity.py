"""The proof that a GGUF file is of the model: its keys, its vocabulary, its tensors.

What it is called does not count. What is compared with comes from the tokenizer folder, by the same
tables by which our own builds write a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType

from gemma4_build.block_scales import SCALES
from gemma4_build.errors import (
    MisshapenTensorError,
    MissingTensorError,
    TokenizerError,
    UnknownTensorError,
    UnsupportedModelError,
)
from gemma4_build.gguf_header import ARCHITECTURE, model_keys
from gemma4_build.gguf_tensors import ROPE_FACTORS, file_tensors
from gemma4_build.model_spec import ModelSpec
from gemma4_build.published.head import TOKENS
from gemma4_build.published.layout import StoredBlocks
from gemma4_build.tensor_table import checkpoint_tensors
from gemma4_build.vocabulary import Vocabulary

__all__ = ["ACCEPTED", "check_keys", "check_stored", "check_vocabulary"]

ACCEPTED = (
    GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16, *SCALES
)  # fmt: skip
"""Storage types of matrices; all else is F32."""

_ONLY = "take a GGUF file of Gemma 4 26B-A4B (google/gemma-4-26B-A4B-it)"
_APART = f"{_ONLY}, and the tokenizer files of the same model"
_VOCABULARY = "gemma4"
_KINDS = {
    "adapter": "a LoRA adapter", "mmproj": "the vision projector of a model",
    "imatrix": "a file of importances", "vocab": "a vocabulary only",
}  # fmt: skip


def check_keys(path: Path, keys: Mapping[str, Any], spec: ModelSpec) -> None:
    """Raise :class:`UnsupportedModelError` unless every hyper-parameter is that of ``spec``, and
    there is no other."""
    parts = keys.get("split.count", 1)
    if parts not in (0, 1):
        raise UnsupportedModelError(
            f"{path}: split.count is {parts!r}: one of several parts; join them with "
            "`llama-gguf-split --merge FIRST_PART WHOLE.gguf`, or download the model as one file"
        )
    kind = keys.get("general.type", "model")
    if kind != "model":
        raise UnsupportedModelError(
            f"{path}: general.type is {kind!r}: {_KINDS.get(kind, 'no model')}; {_ONLY}"
        )
    found = keys.get("general.architecture")
    if found != ARCHITECTURE:
        raise UnsupportedModelError(
            f"{path}: general.architecture is {found!r}, need {ARCHITECTURE!r}; {_ONLY}"
        )
    wanted = model_keys(spec)
    for name, value in wanted.items():
        if name not in keys:
            raise UnsupportedModelError(f"{path}: lacks the key {name}; {_ONLY}")
        if not _equal(keys[name], value, spec.layers):
            raise UnsupportedModelError(
                f"{path}: {name} is {keys[name]!r}, config.json says {value!r}: other models; "
                f"{_APART}"
            )
    allowed = {*wanted, f"{ARCHITECTURE}.vocab_size"}
    other = next((k for k in keys if k.startswith(f"{ARCHITECTURE}.") and k not in allowed), None)
    if other is not None:
        raise UnsupportedModelError(
            f"{path}: has the key {other} ({keys[other]!r}), which the model has not: nobody knows "
            f"what it changes; {_ONLY}"
        )


def check_vocabulary(path: Path, keys: Mapping[str, Any], vocabulary: Vocabulary) -> None:
    """Raise :class:`TokenizerError` unless the file's tokens are those of tokenizer.json, one by
    one. Their types are not compared: converters differ, and the new head has its own."""
    model = keys.get("tokenizer.ggml.model")
    if model != _VOCABULARY:
        raise TokenizerError(
            f"{path}: tokenizer.ggml.model is {model!r}, need {_VOCABULARY!r}; {_ONLY}"
        )
    tokens = keys.get(TOKENS)
    if not isinstance(tokens, tuple) or len(tokens) != len(vocabulary.tokens):
        count = len(tokens) if isinstance(tokens, tuple) else "no"
        raise TokenizerError(
            f"{path}: {TOKENS} has {count} tokens, tokenizer.json {len(vocabulary.tokens)}; "
            f"{_APART}"
        )
    for number, (found, wanted) in enumerate(zip(tokens, vocabulary.tokens, strict=True)):
        if found != wanted:
            raise TokenizerError(
                f"{path}: {TOKENS}[{number}] is {found!r}, tokenizer.json has {wanted!r}; {_APART}"
            )
    for name, allowed in (
        ("bos", [vocabulary.special["bos"]]),
        ("eos", vocabulary.eos_ids),
    ):
        key = f"tokenizer.ggml.{name}_token_id"
        if keys.get(key, allowed[0]) not in allowed:
            raise TokenizerError(f"{path}: {key} is {keys[key]!r}, need one of {allowed}; {_APART}")


def check_stored(path: Path, tensors: Sequence[StoredBlocks], spec: ModelSpec) -> None:
    """Check that the file has the model's tensors and no other, each with its shape and of a type
    that can be run. Raises :class:`UnknownTensorError`, :class:`MissingTensorError`,
    :class:`MisshapenTensorError`."""
    wanted = {
        name: (shape, rule is not None and len(shape) > 1)
        for name, shape, rule in file_tensors(spec, checkpoint_tensors(spec))
    }
    names = {tensor.name for tensor in tensors}
    if unknown := sorted(names - set(wanted)):
        raise UnknownTensorError(
            f"{path}: unknown tensor {unknown[0]}{_more(unknown)}{_hint(unknown[0])}; {_ONLY}, as "
            "llama.cpp's converter makes it without options"
        )
    if missing := sorted(set(wanted) - names):
        hint = ", without which full attention is wrong" if missing[0] == ROPE_FACTORS else ""
        raise MissingTensorError(f"{path}: lacks {missing[0]}{_more(missing)}{hint}; {_ONLY}")
    for tensor in tensors:
        shape, is_matrix = wanted[tensor.name]
        if tensor.shape != shape:
            raise MisshapenTensorError(
                f"{path}: {tensor.name} has shape {list(tensor.shape)}, config.json says "
                f"{list(shape)}; {_APART}"
            )
        kinds = ACCEPTED if is_matrix else ACCEPTED[:1]
        if tensor.kind not in kinds:
            raise MisshapenTensorError(
                f"{path}: {tensor.name} is {tensor.kind.name}, need "
                f"{', '.join(kind.name for kind in kinds)}; take a file in Q4_0, Q8_0 or K-quants"
            )


def _equal(found: Any, wanted: Any, layers: int) -> bool:
    """Compare as llama.cpp reads it: one number stands for all layers, and numbers with a point
    are float32."""
    if isinstance(found, tuple) != isinstance(wanted, list):
        if isinstance(found, tuple):
            wanted = [wanted] * layers
        else:
            found = (found,) * layers
    if isinstance(wanted, list):
        return list(found) == wanted
    if isinstance(wanted, float):
        with np.errstate(over="ignore"):
            return isinstance(found, int | float) and np.float32(found) == np.float32(wanted)
    return bool(found == wanted)


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _hint(name: str) -> str:
    hints = {
        "output.weight": ", output weights of its own",
        "attn_qkv": ", joined attention (--fuse-qkv)",
        "_exps": ", experts in two halves",
    }
    return next((hint for part, hint in hints.items() if part in name), "")
