"""The rules over stored tensors: what the loader makes of their types and shapes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gemma4_runtime.trtllm.loader.shape import Cut, Shape
from gemma4_runtime.trtllm.loader.widths import DENSE_STEP, EXPERT_STEP, NVFP4_FC1_ROWS

__all__ = ["TensorInfo", "tensor_problems"]

TensorInfo = tuple[str, tuple[int, ...]]
"""Type as in safetensors files, and shape."""

_KEY_VALUE = re.compile(r"language_model\.layers\.\d+\.self_attn\.([kv])_proj\.weight$")
_DENSE = re.compile(r"language_model\.layers\.\d+\.mlp\.(gate|up|down)_proj\.weight$")
_EXPERT = re.compile(r"\.experts\.\d+\.(gate|up|down)_proj\.weight$")
_FUSED_EXPERTS = re.compile(r"\.experts\.(gate_up|down)_proj$")


def tensor_problems(
    tensors: Mapping[str, TensorInfo], shape: Shape, cut: Cut, full_layers: frozenset[int]
) -> Iterator[str]:
    """Give what the loader would read wrongly, or not at all, on ``cut``, tensor by tensor.
    ``full_layers`` are the numbers of the layers with full attention."""
    for name, (dtype, dims) in tensors.items():
        found = _KEY_VALUE.search(name)
        if found:
            full = int(name.split("layers.", 1)[1].split(".", 1)[0]) in full_layers
            yield from _key_value(name, dims[0], shape, cut, full=full)
            continue
        kind = _format(tensors, name, dtype)
        if (found := _DENSE.search(name)) is not None:
            width = _width(kind, dims, down=found[1] == "down")
            yield from _share(name, width, cut.dense_parts, DENSE_STEP[kind].size)
        elif (found := _EXPERT.search(name)) is not None:
            width = _width(kind, dims, down=found[1] == "down")
            yield from _share(name, width, cut.expert_parts, EXPERT_STEP[kind].size)
            if kind == "nvfp4" and 2 * width // cut.expert_parts % NVFP4_FC1_ROWS:
                yield f"{name}: gate and up are mixed where their padded rows are split in half"
        elif (found := _FUSED_EXPERTS.search(name)) is not None:
            width = dims[-1] if found[1] == "down" else dims[1] // 2
            yield from _share(name, width, cut.expert_parts, EXPERT_STEP["bf16"].size)


def _format(tensors: Mapping[str, TensorInfo], name: str, dtype: str) -> str:
    if dtype != "U8":
        return "fp8" if dtype == "F8_E4M3" else "bf16"
    scale = tensors.get(f"{name}_scale")
    return "nvfp4" if scale is not None and scale[0] == "F8_E4M3" else "int4"


def _width(kind: str, dims: tuple[int, ...], *, down: bool) -> int:
    """Return the MLP's inner width; NVFP4 packs two columns into one byte, W4A8 two rows."""
    if down:
        return dims[1] * (2 if kind == "nvfp4" else 1)
    return dims[0] * (2 if kind == "int4" else 1)


def _share(name: str, width: int, parts: int, step: int) -> Iterator[str]:
    if width % (parts * step):
        yield f"{name}: {width} over {parts} is {width / parts:g}, no multiple of {step}"


def _key_value(name: str, rows: int, shape: Shape, cut: Cut, *, full: bool) -> Iterator[str]:
    """Copy as the loader does, and compare with the heads that a GPU must have."""
    heads = shape.global_kv_heads if full else shape.kv_heads
    size = shape.global_head_dim if full else shape.head_dim
    seen, parts = rows // size, cut.dense_parts
    if seen == 0 or (seen % parts if seen >= parts else parts % seen):
        yield f"{name}: {rows} rows are {seen} heads of {size}, which do not go with {parts} GPUs"
        return
    loaded = rows * max(1, parts // seen) // parts
    needed = max(1, heads // parts) * size * rows // (heads * size)
    if loaded != needed:
        yield f"{name}: every GPU gets {loaded} rows of it and needs {needed}"
