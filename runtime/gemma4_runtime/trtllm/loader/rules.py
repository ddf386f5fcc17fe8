"""The rules over sizes: which folder loads right on which cut, before there are any tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gemma4_runtime.trtllm.loader.shape import Cut, Shape
from gemma4_runtime.trtllm.loader.sources import KV_COPIES, MODEL, Source
from gemma4_runtime.trtllm.loader.widths import EXPERT_STEP, INNER_STEP, dense_step

__all__ = ["FOLDER_RULES", "SPLIT_RULES", "Violation", "violations"]

Mend = Literal["split", "expert split", "precision", "expert width", "dense width"]


@dataclass(frozen=True, slots=True)
class Violation:
    """``reason`` is half a sentence. ``mend``: what has to change; a width can be padded."""

    reason: str
    mend: Mend
    source: Source


Rule = Callable[[Shape, Cut], Violation | None]


def attention_heads(shape: Shape, cut: Cut) -> Violation | None:
    if cut.tp >= 1 and shape.heads % cut.tp == 0:
        return None
    return Violation(
        f"tensor parallelism {cut.tp}: {shape.heads} attention heads do not divide by it",
        "split", MODEL,
    )  # fmt: skip


def key_value_heads(shape: Shape, cut: Cut) -> Violation | None:
    """Fewer heads than GPUs are copied, whole."""
    for heads in (shape.kv_heads, shape.global_kv_heads):
        if heads % cut.dense_parts and cut.dense_parts % heads:
            return Violation(
                f"tensor parallelism {cut.tp}: does not go with {heads} key/value heads",
                "split", KV_COPIES,
            )  # fmt: skip
    return None


def expert_count(shape: Shape, cut: Cut) -> Violation | None:
    for what, size in (
        (f"the model's {shape.experts} experts", shape.experts),
        (f"tensor parallelism {cut.tp}", cut.tp),
    ):
        if cut.ep < 1 or size % cut.ep:
            return Violation(
                f"expert parallelism {cut.ep}: must divide {what}", "expert split", MODEL
            )
    return None


def packed_key_value(shape: Shape, cut: Cut) -> Violation | None:
    """Refuse int4 where the loader would copy heads.

    It counts key/value heads by the rows of the stored matrix. W4A8 packs two rows into one, which
    it allows for in W4A16 only: it sees half the heads, and copies those that it takes for missing,
    so that every GPU gets twice too many."""
    if cut.precision != "int4":
        return None
    for heads in (shape.kv_heads, shape.global_kv_heads):
        seen = heads // 2
        if seen < cut.dense_parts or seen % cut.dense_parts:
            return Violation(
                f"int4 on {cut.dense_parts} GPU{'s' if cut.dense_parts > 1 else ''}: "
                f"TensorRT-LLM takes the {heads} packed key/value heads for {seen} and would copy "
                "them wrongly",
                "split" if cut.dense_parts > 1 else "precision", KV_COPIES,
            )  # fmt: skip
    return None


def inner_sizes(shape: Shape, cut: Cut) -> Violation | None:
    """Refuse what padding of the MLPs cannot mend. NVFP4 leaves the attention in bf16."""
    step = INNER_STEP[cut.precision]
    inner = {"hidden size": shape.hidden}
    if cut.precision in ("fp8", "int4"):
        share = shape.heads // cut.dense_parts
        inner |= {
            "one GPU's share of a sliding layer's attention": share * shape.head_dim,
            "one GPU's share of a full layer's attention": share * shape.global_head_dim,
        }
    for what, size in inner.items():
        if size % step.size:
            return Violation(
                f"{cut.precision}: {what} is {size}, must be a multiple of {step.size}",
                "precision", step.source,
            )  # fmt: skip
    return None


def expert_width(shape: Shape, cut: Cut) -> Violation | None:
    step, parts = EXPERT_STEP[cut.precision], cut.expert_parts
    if shape.expert_width % (parts * step.size) == 0:
        return None
    return Violation(
        f"{cut.precision} experts {shape.expert_width / parts:g} wide on each GPU "
        f"({shape.expert_width} over {parts}): must be a multiple of {step.size}"
        + (f" ({step.why})" if step.why else ""),
        "expert width", step.source,
    )  # fmt: skip


def dense_width(shape: Shape, cut: Cut) -> Violation | None:
    step, parts = dense_step(cut), cut.dense_parts
    if shape.dense_width % (parts * step.size) == 0:
        return None
    return Violation(
        f"{cut.precision} dense MLP {shape.dense_width / parts:g} wide on each GPU "
        f"({shape.dense_width} over {parts}): must be a multiple of {step.size}",
        "dense width", step.source,
    )  # fmt: skip


SPLIT_RULES: tuple[Rule, ...] = (attention_heads, key_value_heads, expert_count)
"""Asked first: the others may rest on them."""
FOLDER_RULES: tuple[Rule, ...] = (packed_key_value, inner_sizes, expert_width, dense_width)


def violations(
    shape: Shape, cut: Cut, rules: tuple[Rule, ...] = SPLIT_RULES + FOLDER_RULES
) -> tuple[Violation, ...]:
    """Return what keeps ``shape`` from being loaded right on ``cut``; of a split that cannot be,
    that alone."""
    found = []
    for rule in rules:
        violation = rule(shape, cut)
        if violation is not None:
            found.append(violation)
            if rule in SPLIT_RULES:
                break
    return tuple(found)
