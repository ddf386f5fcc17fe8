"""Proof, from the files alone, that a quantized checkpoint is what was asked for.

ModelOpt has skipped fused experts without a word (its issue 1173): the result loads, runs and is
twice the size. So every expert of every layer is looked at, and nothing may be left over.
"""

from __future__ import annotations

import numpy as np

from gemma4_build.errors import QuantizationError
from gemma4_build.model_spec import ModelSpec
from gemma4_build.shards import StoredTensor
from gemma4_build.trtllm.decode import decode_e4m3
from gemma4_build.trtllm.formats import Part, Scheme, checkpoint_parts, linears
from gemma4_build.trtllm.quantized import Stored

__all__ = ["check_stored"]

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
    _check_pairs(spec, scheme, stored)
    return total


def _check_pairs(spec: ModelSpec, scheme: Scheme, stored: Stored) -> None:
    """Check that gate and up of an expert have one scale: TensorRT-LLM multiplies with both at
    once."""
    fields = {
        "fp8": ("input_scale",),
        "nvfp4": ("input_scale", "weight_scale_2"),
        "w4a8": ("input_scale", "pre_quant_scale"),
    }[scheme.format]
    for linear in linears(spec):
        if linear.kind != "experts" or not linear.name.endswith("gate_proj"):
            continue
        for name in fields:
            gate = f"{linear.name}.{name}"
            up = gate.replace("gate_proj", "up_proj")
            if not np.array_equal(stored[gate].read_float32(), stored[up].read_float32()):
                raise QuantizationError(f"{gate} is not {up}, which TensorRT-LLM needs equal")


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
