"""How wide a matrix must be for its kernel, and zero-padding to a width that is.

A gated MLP ignores padding: a zero row of gate and up gives gelu(0) * 0 = 0, and the zero column of
down multiplies that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gemma4_runtime.trtllm.loader.rules import violations
from gemma4_runtime.trtllm.loader.shape import Cut, Shape
from gemma4_runtime.trtllm.loader.widths import padded_widths

from gemma4_build.errors import BadOptionError
from gemma4_build.model_spec import ModelSpec
from gemma4_build.trtllm.formats import Scheme

__all__ = ["Widths", "check_split", "cut_of", "padded", "shape_of", "widths"]


@dataclass(frozen=True, slots=True)
class Widths:
    """``moe`` is the experts' inner width, ``dense`` the dense MLP's."""

    moe: int
    dense: int

    def apply(self, spec: ModelSpec) -> ModelSpec:
        return replace(spec, moe_intermediate=self.moe, intermediate=self.dense)


def widths(spec: ModelSpec) -> Widths:
    return Widths(spec.moe_intermediate, spec.intermediate)


def shape_of(spec: ModelSpec) -> Shape:
    """Return the sizes that the loader's rules ask for."""
    return Shape(
        hidden=spec.hidden,
        heads=spec.heads,
        kv_heads=spec.kv_heads,
        global_kv_heads=spec.global_kv_heads,
        head_dim=spec.head_dim,
        global_head_dim=spec.global_head_dim,
        experts=spec.experts,
        expert_width=spec.moe_intermediate,
        dense_width=spec.intermediate,
    )


def cut_of(precision: str, scheme: Scheme | None, *, tp: int, ep: int) -> Cut:
    """Return how ``tp`` GPUs share the model, of which ``ep`` split the experts by number."""
    dense = scheme is not None and "mlp" in scheme.kinds
    return Cut(precision=precision, dense_quantized=dense, tp=tp, ep=ep)


def padded(spec: ModelSpec, precision: str, scheme: Scheme | None, *, tp: int, ep: int) -> Widths:
    """Return the least widths not below the model's that ``precision`` takes on ``tp`` GPUs, of
    which ``ep`` split the experts by number."""
    return Widths(*padded_widths(shape_of(spec), cut_of(precision, scheme, tp=tp, ep=ep)))


def check_split(
    spec: ModelSpec,
    precision: str,
    scheme: Scheme | None,
    *,
    tp: int,
    ep: int,
    quantized: bool = False,
) -> None:
    """Raise :class:`BadOptionError` when TensorRT-LLM could not load the model cut like that.
    ``quantized``: the checkpoint is already, so it cannot be padded any more."""
    shape, cut = shape_of(spec), cut_of(precision, scheme, tp=tp, ep=ep)
    found = next(iter(violations(shape, cut)), None)
    if found is None:
        return
    option = f"--tp {tp} --ep {ep}" if found.mend.startswith("expert") else f"--tp {tp}"
    if found.mend == "precision":
        other = "bf16" if precision == "fp8" else "fp8"
        raise BadOptionError(f"--precision {precision}: {found.reason}; use --precision {other}")
    ways = []
    if found.mend == "expert width" and not violations(shape, replace(cut, ep=tp)):
        ways.append(f"--ep {tp}")
    if found.mend in ("dense width", "split"):
        ways.append("a smaller --tp")
    if found.mend == "expert split":
        ways.append("another --ep")
    if found.mend.endswith("width"):
        to = Widths(*padded_widths(shape, cut))
        old, new = (
            (shape.expert_width, to.moe)
            if found.mend == "expert width"
            else (shape.dense_width, to.dense)
        )
        of = "--pad-experts on the bf16 checkpoint" if quantized else "--pad-experts"
        ways.append(f"{of} (width {old} -> {new})")
    raise BadOptionError(f"{option}: {found.reason}; use {', or '.join(ways)}")
