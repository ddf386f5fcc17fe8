"""The proof that the hyper-parameters of a GGUF file are the model's.

What a file calls itself does not count. What is compared with comes from the tokenizer folder, by
the same table by which our own builds write a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gemma4_build.errors import UnsupportedModelError
from gemma4_build.gguf_header import ARCHITECTURE, model_keys
from gemma4_build.model_spec import ModelSpec
from gemma4_build.published.ways_out import APART, ONLY

__all__ = ["check_keys"]

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
            f"{path}: general.type is {kind!r}: {_KINDS.get(kind, 'no model')}; {ONLY}"
        )
    found = keys.get("general.architecture")
    if found != ARCHITECTURE:
        raise UnsupportedModelError(
            f"{path}: general.architecture is {found!r}, need {ARCHITECTURE!r}; {ONLY}"
        )
    wanted = model_keys(spec)
    for name, value in wanted.items():
        if name not in keys:
            raise UnsupportedModelError(f"{path}: lacks the key {name}; {ONLY}")
        if not _equal(keys[name], value, spec.layers):
            raise UnsupportedModelError(
                f"{path}: {name} is {keys[name]!r}, config.json says {value!r}: other models; "
                f"{APART}"
            )
    allowed = {*wanted, f"{ARCHITECTURE}.vocab_size"}
    other = next((k for k in keys if k.startswith(f"{ARCHITECTURE}.") and k not in allowed), None)
    if other is not None:
        raise UnsupportedModelError(
            f"{path}: has the key {other} ({keys[other]!r}), which the model has not: nobody knows "
            f"what it changes; {ONLY}"
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
