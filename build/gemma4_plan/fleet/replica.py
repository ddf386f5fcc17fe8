"""A copy of the model on given cards, as the simulation takes it."""

from __future__ import annotations

from gemma4_runtime.trtllm.kv_memory import held_requests
from gemma4_runtime.trtllm.presets import Preset, step_tokens

from gemma4_plan.catalog import Card
from gemma4_plan.fleet.steps import End, RooflineSteps
from gemma4_plan.gpu_memory import Split, plan_gpu
from gemma4_plan.host.figures import read_figures
from gemma4_plan.simulate import Replica
from gemma4_plan.speed.fitted import Fitted

__all__ = ["QUEUED", "replica_of"]

QUEUED = 64
"""Requests that may wait in an engine: the default of a build."""


def replica_of(
    name: str,
    card: Card,
    split: Split,
    fitted: Fitted,
    *,
    slots: int,
    prompt: float,
    output: float,
    end: End = "middle",
    preset: Preset = "throughput",
) -> Replica:
    """Return the replica for requests of ``prompt`` and ``output`` tokens, the means. Its KV cache
    is the smaller end of what is left, divided for requests of that length; before the engine,
    Triton and the gateway take what was measured idle."""
    tokens = max(2, round(prompt + output))
    plan = plan_gpu(name, card, split, tokens=(tokens,), slots=slots, preset=preset)
    held = held_requests(
        int(plan.pool.low), tokens, slots=slots, step_tokens=step_tokens(preset, slots=slots),
        element_bytes=split.kv_item, tp=split.tp,
    )  # fmt: skip
    return Replica(
        pace=RooflineSteps(name, card, split, fitted, end=end),
        slots=slots,
        max_queued=QUEUED,
        step_tokens=step_tokens(preset, slots=slots),
        kv_tokens=max(1, held * tokens),
        overhead_s=read_figures().per_prompt_s(prompt).high,
        gpus=split.tp,
    )
