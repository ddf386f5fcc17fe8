"""What one step of the model reads, computes and sends, on one of the GPUs that share it."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_build.model_spec import ModelSpec
from gemma4_build.trtllm.bytes_needed import RankPlan

__all__ = ["Step", "Work", "work_of"]

_BF16 = 2  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """``decode`` requests get a token each; ``prefill`` tokens of prompts are read in beside them.
    ``context`` is the mean of the tokens that a decoding request already has, and ``prompt`` that
    of the prompts, for their attention."""

    decode: float
    context: float
    prefill: float = 0.0
    prompt: float = 0.0

    @property
    def tokens(self) -> float:
        return self.decode + self.prefill


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """``expert_flops`` and ``other_flops`` apart, as they may have different types. ``sent`` are
    the bytes of all reductions of the step, each of which is one ``message``."""

    read: float
    expert_flops: float
    other_flops: float
    sent: float
    messages: int


def work_of(
    spec: ModelSpec,
    rank: RankPlan,
    step: Step,
    *,
    tp: int,
    routing: float,
    dense_scale: float = 1.0,
) -> Work:
    """Return the work of ``step``. ``routing`` (above 0, up to 1) is how little tokens differ in
    the experts they choose: N tokens touch as many experts as N ** routing that choose by chance.
    ``dense_scale`` is the share of the bytes of attention and dense MLPs that is left when they
    are quantized too."""
    chosen = spec.experts_per_token / spec.experts
    touched = 1 - (1 - chosen) ** (step.tokens**routing if step.tokens > 1 else step.tokens)
    router = spec.layers * spec.experts * spec.hidden * _BF16
    kept = min(step.context, spec.window)
    cache = kept * rank.kv_sliding_per_token + step.context * rank.kv_full_per_token
    read = (
        rank.experts * touched
        + (rank.dense + rank.attention) * dense_scale
        + rank.embedding
        + router
        + step.decode * cache
    )
    width = spec.layers * spec.hidden
    experts = 2 * 3 * width * spec.moe_intermediate * spec.experts_per_token * step.tokens
    dense = 2 * (spec.active_parameters * step.tokens) - experts
    head = 2 * spec.vocab * spec.hidden * (step.decode + min(step.prefill, 1))
    reductions = 2 * spec.layers if tp > 1 else 0
    return Work(
        read=read,
        expert_flops=experts / tp,
        other_flops=(dense + head + _attention(spec, step)) / tp,
        sent=reductions * 2 * (tp - 1) / tp * step.tokens * spec.hidden * _BF16,
        messages=reductions,
    )


def _attention(spec: ModelSpec, step: Step) -> float:
    """Return the operations of attention: two products of every query with what it sees."""
    flops = 0.0
    for tokens, seen in ((step.decode, step.context), (step.prefill, step.prompt / 2)):
        sliding = sum(spec.sliding) * spec.head_dim * min(seen, spec.window)
        full = (spec.layers - sum(spec.sliding)) * spec.global_head_dim * seen
        flops += 4 * spec.heads * tokens * (sliding + full)
    return flops
