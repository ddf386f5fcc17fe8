"""What a GPU holds beside weights and KV cache. Not known exactly by anybody: spans with sources.

``gemma4_build.trtllm.bytes_needed.COMPUTE_BYTES`` is the one figure within them that a build
writes into the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_build.model_spec import ModelSpec
from gemma4_build.trtllm.bytes_needed import KV_ITEM

from gemma4_plan.span import Span

__all__ = ["Overhead", "graph_sizes", "overhead"]

_RUNTIME_LOW, _RUNTIME_HIGH = 551 << 20, 3758096384
"""Bytes of CUDA, its libraries and their workspaces: what aiconfigurator measured once, and what it
takes since, "for safer deployment" (its systems/*.yaml, misc.other_mem). Between them: vLLM on an
H100, 1.79 GiB outside PyTorch (vllm-project/vllm pull request 10511)."""

_NCCL = {1: 0, 2: 358612992, 4: 411041792, 8: 411041792}
"""Bytes of NCCL by GPUs that share the model (aiconfigurator, systems/*.yaml, misc.nccl_mem)."""

_GRAPH_LOW, _GRAPH_HIGH = 18 << 20, 60 << 20
"""Bytes of one CUDA graph: 0.62 GB for the 35 graphs of a 70B model (vllm-project/vllm pull request
5515), and TensorRT-LLM's own guess (NVIDIA/TensorRT-LLM pull request 3362)."""

_BF16, _F32, _INDEX = 2, 4, 8
"""Bytes of a value of these types; an index is an int64."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """Bytes. ``runtime`` and ``activations`` are held while TensorRT-LLM measures how much is left
    for the KV cache; ``graphs`` come after and live in the part that it leaves free."""

    runtime: Span
    activations: Span
    graphs: Span


def overhead(
    spec: ModelSpec, precision: str, *, tp: int, ep: int, slots: int, step_tokens: int
) -> Overhead:
    """Return what one of ``tp`` GPUs holds for ``slots`` requests at once and steps of up to
    ``step_tokens`` tokens."""
    nccl = _NCCL[min((n for n in _NCCL if n >= tp), default=8)]
    count = len(graph_sizes(slots))
    return Overhead(
        runtime=Span(_RUNTIME_LOW + nccl, _RUNTIME_HIGH + nccl),
        activations=_activations(spec, precision, tp=tp, ep=ep, slots=slots, tokens=step_tokens),
        graphs=Span(count * _GRAPH_LOW, count * _GRAPH_HIGH),
    )


def graph_sizes(slots: int) -> tuple[int, ...]:
    """Return the batch sizes that TensorRT-LLM captures with ``enable_padding``: 1, 2, 4, then
    steps of 8 up to 128, then powers of two (CudaGraphConfig), and the largest batch itself."""
    sizes = [1, 2, 4, *range(8, 129, 8)]
    while sizes[-1] < slots:
        sizes.append(2 * sizes[-1])
    return tuple(sorted({size for size in sizes if size < slots} | {slots}))


def _activations(
    spec: ModelSpec, precision: str, *, tp: int, ep: int, slots: int, tokens: int
) -> Span:
    """Derive from the shapes of one layer and of the head. ``low``: only what one operation reads
    and writes lives at once. ``high``: nothing of a layer is freed before its end, and sampling
    sorts the whole vocabulary."""
    state = tokens * spec.hidden * _BF16
    attention = _attention(spec, tp, tokens)
    experts = _experts(spec, precision, tp // ep, tokens)
    dense = [tokens * 2 * spec.intermediate // tp * _BF16, tokens * spec.intermediate // tp * _BF16]
    logits = slots * spec.vocab * (_BF16 + _F32)
    sampling = slots * spec.vocab * (2 * _F32 + _INDEX)
    pairs = [sum(ops[n : n + 2]) for ops in (attention, experts, dense) for n in range(len(ops))]
    return Span(
        2 * state + max(*pairs, logits),
        4 * state + sum(attention) + sum(experts) + sum(dense) + logits + sampling,
    )


def _attention(spec: ModelSpec, tp: int, tokens: int) -> list[int]:
    """Return the bytes of the queries, keys and values of the larger kind of layer, and of the
    output of its attention."""
    found = []
    for heads, dim in (
        (spec.kv_heads, spec.head_dim),
        (spec.global_kv_heads, spec.global_head_dim),
    ):
        queries, keys = spec.heads // tp * dim, 2 * -(-heads // tp) * dim
        found.append([tokens * (queries + keys) * _BF16, tokens * queries * _BF16])
    return max(found, key=sum)


def _experts(spec: ModelSpec, precision: str, parts: int, tokens: int) -> list[int]:
    """Return the bytes of: the tokens sorted by expert, gate and up, their product, the experts'
    outputs, and the sums of these. With expert parallelism all tokens may want one GPU's experts.
    """
    rows, item = tokens * spec.experts_per_token, _BF16 if precision == "bf16" else KV_ITEM["fp8"]
    width = -(-spec.moe_intermediate // parts)
    return [
        rows * spec.hidden * item,
        rows * 2 * width * _BF16,
        rows * width * item,
        rows * spec.hidden * _BF16,
        tokens * spec.hidden * _BF16,
    ]
