"""How wide a matrix must be for its kernel, and zero-padding to a width that is.

A gated MLP ignores padding: a zero row of gate and up gives gelu(0) * 0 = 0, and the zero column of
down multiplies that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gemma4_runtime.trtllm.alignment import EXPERT_STEP, dense_step, padded_widths

from gemma4_build.errors import BadOptionError
from gemma4_build.model_spec import ModelSpec
from gemma4_build.trtllm.formats import Scheme

__all__ = ["Widths", "check_int4", "check_split", "padded", "widths"]


@dataclass(frozen=True, slots=True)
class Widths:
    """``moe`` is the experts' inner width, ``dense`` the dense MLP's."""

    moe: int
    dense: int

    def apply(self, spec: ModelSpec) -> ModelSpec:
        return replace(spec, moe_intermediate=self.moe, intermediate=self.dense)


def widths(spec: ModelSpec) -> Widths:
    return Widths(spec.moe_intermediate, spec.intermediate)


def padded(spec: ModelSpec, precision: str, scheme: Scheme | None, *, tp: int, ep: int) -> Widths:
    """Return the least widths not below the model's that ``precision`` takes on ``tp`` GPUs, of
    which ``ep`` split the experts by number."""
    expert, dense = padded_widths(
        spec.moe_intermediate,
        spec.intermediate,
        precision,
        dense_quantized=_dense_quantized(scheme),
        tp=tp,
        ep=ep,
    )
    return Widths(expert, dense)


def _dense_quantized(scheme: Scheme | None) -> bool:
    return scheme is not None and "mlp" in scheme.kinds


def check_split(
    spec: ModelSpec, precision: str, scheme: Scheme | None, *, tp: int, ep: int
) -> None:
    """Raise :class:`BadOptionError` when the model cannot be cut like that."""
    if spec.heads % tp:
        raise BadOptionError(f"--tp {tp}: must divide the model's {spec.heads} attention heads")
    for heads in (spec.kv_heads, spec.global_kv_heads):
        if heads % tp and tp % heads:
            raise BadOptionError(f"--tp {tp}: does not go with {heads} key/value heads")
    if spec.experts % ep:
        raise BadOptionError(f"--ep {ep}: must divide the model's {spec.experts} experts")
    if precision == "int4":
        check_int4(spec, tp)
    wanted = padded(spec, precision, scheme, tp=tp, ep=ep)
    if wanted == widths(spec):
        return
    share, multiple = spec.moe_intermediate / (tp // ep), EXPERT_STEP[precision]
    if wanted.moe != spec.moe_intermediate:
        raise BadOptionError(
            f"--tp {tp} --ep {ep}: one GPU's share of an expert is {share:g} wide, {precision} "
            f"needs a multiple of {multiple}; use --ep {tp}, or --pad-experts (width "
            f"{spec.moe_intermediate} -> {wanted.moe})"
        )
    dense = dense_step(precision, quantized=_dense_quantized(scheme))
    raise BadOptionError(
        f"--tp {tp}: one GPU's share of the dense MLP is {spec.intermediate / tp:g} wide, "
        f"{precision} needs a multiple of {dense}; use a smaller --tp, "
        f"or --pad-experts (width {spec.intermediate} -> {wanted.dense})"
    )


def check_int4(spec: ModelSpec, tp: int) -> None:
    """Raise :class:`BadOptionError` where groups of 128 do not fit and padding cannot help."""
    inner = {"hidden size": spec.hidden}
    inner["one GPU's share of a sliding layer's attention"] = spec.heads * spec.head_dim // tp
    inner["one GPU's share of a full layer's attention"] = spec.heads * spec.global_head_dim // tp
    for what, size in inner.items():
        if size % 128:
            raise BadOptionError(
                f"--precision int4: {what} is {size}, which is no multiple of the group of 128; "
                "use --precision fp8"
            )
