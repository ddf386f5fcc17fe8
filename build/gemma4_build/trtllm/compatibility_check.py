"""What the compatibility table says of a request, before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from gemma4_runtime.trtllm.compatibility import verdict
from gemma4_runtime.trtllm.gpus import UnknownGpuError, find_gpu
from gemma4_runtime.trtllm.setup import Precision

from gemma4_build.errors import BadOptionError
from gemma4_build.gpu_options import GpuOptions

__all__ = ["Compatibility", "check_compatible"]

_INT4 = "int4 (W4A8 AWQ) on a zero-padded checkpoint: nobody has run it in TensorRT-LLM"


@dataclass(frozen=True, slots=True)
class Compatibility:
    """``gpu_arch`` such as "sm90", None without ``--gpu``. ``experimental``: why it may not work,
    "" for what is known to."""

    gpu_arch: str | None
    experimental: str


def check_compatible(precision: str, options: GpuOptions) -> Compatibility:
    """Ask the compatibility table. Raises :class:`BadOptionError` with the reason and the way
    out."""
    static = _INT4 if precision == "int4" else ""
    if options.gpu is None:
        return Compatibility(None, static)
    try:
        found = verdict(
            gpu=options.gpu,
            precision=cast("Precision", precision),
            tp=options.tp,
            ep=options.ep,
            nvfp4_scope=cast("Literal['experts', 'mlp']", options.scheme_name),
            mtp=options.assistant is not None,
            pad=options.pad_experts,
        )
        arch = f"sm{find_gpu(options.gpu).sm}"
    except UnknownGpuError as error:
        raise BadOptionError(f"--gpu {error}") from None
    if found.status == "no":
        split = f" --tp {options.tp} --ep {options.ep}" if options.tp > 1 else ""
        raise BadOptionError(
            f"--gpu {options.gpu} --precision {precision}{split}: {found.explain()}"
        )
    reasons = [found.reason] if found.status == "experimental" else []
    if static and not reasons:
        reasons = [static]
    return Compatibility(arch, "; ".join(reasons))
