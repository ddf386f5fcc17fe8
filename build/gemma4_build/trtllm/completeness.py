"""Proof, from the files alone, that a quantized checkpoint is what was asked for.

ModelOpt has skipped fused experts without a word (its issue 1173): the result loads, runs and is
twice the size. So every expert of every layer is looked at, and nothing may be left over.
"""

from __future__ import annotations

import numpy as np
from gemma4_runtime.trtllm.loader.scales import EQUAL_SCALES, fused_groups
from gemma4_runtime.trtllm.loader.tensors import tensor_problems

from gemma4_build.errors import QuantizationError
from gemma4_build.model_spec import ModelSpec
from gemma4_build.shards import StoredTensor
from gemma4_build.trtllm.decode import decode_e4m3
from gemma4_build.trtllm.formats import Part, Scheme, checkpoint_parts, linears
from gemma4_build.trtllm.quantized import Stored
from gemma4_build.trtllm.widths import cut_of, shape_of

__all__ = ["check_loads", "check_stored"]

CACHE_SCALES = ("self_attn.k_proj.k_scale", "self_attn.v_proj.v_scale")
"""Scales of an FP8 KV cache, which a calibrated checkpoint has and a cast one has not."""


def check_stored(spec: ModelSpec, scheme: Scheme, stored: Stored) -> int:
    """Check that every tensor is there with its type and shape, none is left over, and every scale
    is finite and above 0. Return the bytes of all tensors. Raises :class:`QuantizationError`."""
    wanted = {part.name: part for part in checkpoint_parts(spec, scheme)}
    _check_experts(spec, stored)
    missing = next((name for name in wanted if name not in stored), None)
    if missing is not None:
        raise QuantizationError(f"{missing} is missing from the quantized checkpoint")
    total = 0
    for name, tensor in stored.items():
        part = wanted.get(name)
        if part is None:
            if not name.endswith(CACHE_SCALES):
                raise QuantizationError(f"{name} does not belong into a {scheme.name} checkpoint")
            part = Part(name, tensor.dtype, tensor.shape)
            _check_scale(tensor, "F32", ())
        elif name.endswith(("_scale", "_scale_2")) and not name.endswith("expert_scale"):
            _check_scale(tensor, part.dtype, part.shape)
        elif (tensor.dtype, tensor.shape) != (part.dtype, part.shape):
            raise QuantizationError(
                f"{name} is {tensor.dtype} {list(tensor.shape)}, need {part.dtype} "
                f"{list(part.shape)}{_hint(tensor, part)}"
            )
        total += part.nbytes
    _check_fused(spec, scheme, stored)
    return total


def _check_fused(spec: ModelSpec, scheme: Scheme, stored: Stored) -> None:
    """Check that matrices which TensorRT-LLM fuses (q, k and v, gate and up) have equal scales:
    it keeps one, and either refuses others or computes with the wrong one."""
    kinds = {linear.name: linear.kind for linear in linears(spec) if linear.kind in scheme.kinds}
    for first, *others in fused_groups(set(kinds)):
        part = "experts" if kinds[first] == "experts" else "dense"
        for field in EQUAL_SCALES[scheme.format, part][0]:
            name = f"{first}.{field}"
            if name not in stored:  # AWQ's scaling of these is in the norm before them
                continue
            for other in others:
                if not np.array_equal(
                    stored[name].read_float32(), stored[f"{other}.{field}"].read_float32()
                ):
                    raise QuantizationError(
                        f"{name} is not {other}.{field}, which TensorRT-LLM needs equal"
                    )


def check_loads(
    spec: ModelSpec, scheme: Scheme | None, stored: Stored, precision: str, *, tp: int, ep: int
) -> None:
    """Check types and shapes by what TensorRT-LLM's loader does with them on this split.
    Raises :class:`QuantizationError`."""
    tensors = {name: (tensor.dtype, tensor.shape) for name, tensor in stored.items()}
    full = frozenset(layer for layer, sliding in enumerate(spec.sliding) if not sliding)
    cut = cut_of(precision, scheme, tp=tp, ep=ep)
    problem = next(tensor_problems(tensors, shape_of(spec), cut, full), None)
    if problem is not None:
        raise QuantizationError(
            f"TensorRT-LLM would load it wrongly with tp {tp} ep {ep}: {problem}"
        )


def _check_experts(spec: ModelSpec, stored: Stored) -> None:
    skipped = sorted(name for name in stored if name.endswith("experts.gate_up_proj"))
    if skipped:
        raise QuantizationError(
            f"{skipped[0]} and {len(skipped) - 1} more: the experts were not quantized ("
            f"{len(skipped)} of {spec.layers} layers); use nvidia-modelopt 0.47 and eager experts"
        )


def _hint(tensor: StoredTensor, part: Part) -> str:
    return "; it was not quantized" if tensor.dtype == "BF16" and part.dtype != "BF16" else ""


def _check_scale(tensor: StoredTensor, dtype: str, shape: tuple[int, ...]) -> None:
    shapes = ((), (1,)) if shape == () else (shape,)
    floats = ("F32", "BF16", "F16")
    types = floats if dtype in floats else (dtype,)
    if tensor.dtype not in types or tensor.shape not in shapes:
        raise QuantizationError(
            f"{tensor.name} is {tensor.dtype} {list(tensor.shape)}, need {dtype} {list(shape)}"
        )
    values = decode_e4m3(tensor.read()) if tensor.dtype == "F8_E4M3" else tensor.read_float32()
    # Block scales may be 0, for blocks of zeros.
    low = values.min() >= 0 if tensor.size > 1 else values.min() > 0
    if not (low and np.isfinite(values).all()):
        raise QuantizationError(f"{tensor.name} has a scale that is not finite and above 0")
