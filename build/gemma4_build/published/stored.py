"""The proof that the tensors of a GGUF file are the model's, by their names, shapes and types.

They are compared with the list by which our own builds write a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gguf import GGMLQuantizationType

from gemma4_build.block_scales import SCALES
from gemma4_build.errors import MisshapenTensorError, MissingTensorError, UnknownTensorError
from gemma4_build.gguf_tensors import ROPE_FACTORS, file_tensors
from gemma4_build.model_spec import ModelSpec
from gemma4_build.published.layout import StoredBlocks
from gemma4_build.published.ways_out import APART, ONLY
from gemma4_build.tensor_table import checkpoint_tensors

__all__ = ["ACCEPTED", "check_stored"]

ACCEPTED = (
    GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16, *SCALES
)  # fmt: skip
"""Storage types of matrices; all else is F32."""


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
            f"{path}: unknown tensor {unknown[0]}{_more(unknown)}{_hint(unknown[0])}; {ONLY}, as "
            "llama.cpp's converter makes it without options"
        )
    if missing := sorted(set(wanted) - names):
        hint = ", without which full attention is wrong" if missing[0] == ROPE_FACTORS else ""
        raise MissingTensorError(f"{path}: lacks {missing[0]}{_more(missing)}{hint}; {ONLY}")
    for tensor in tensors:
        shape, is_matrix = wanted[tensor.name]
        if tensor.shape != shape:
            raise MisshapenTensorError(
                f"{path}: {tensor.name} has shape {list(tensor.shape)}, config.json says "
                f"{list(shape)}; {APART}"
            )
        kinds = ACCEPTED if is_matrix else ACCEPTED[:1]
        if tensor.kind not in kinds:
            raise MisshapenTensorError(
                f"{path}: {tensor.name} is {tensor.kind.name}, need "
                f"{', '.join(kind.name for kind in kinds)}; take a file in Q4_0, Q8_0 or K-quants"
            )


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _hint(name: str) -> str:
    hints = {
        "output.weight": ", output weights of its own",
        "attn_qkv": ", joined attention (--fuse-qkv)",
        "_exps": ", experts in two halves",
    }
    return next((hint for part, hint in hints.items() if part in name), "")
