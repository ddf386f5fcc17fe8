"""The answer as JSON: seconds, dollars, spans as [low, high]."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from gemma4_plan.deploy.shown import deploy_json
from gemma4_plan.fleet.answer import Answer
from gemma4_plan.fleet.search import Candidate
from gemma4_plan.host.shown import host_json
from gemma4_plan.simulate import Outcome
from gemma4_plan.simulate.outcome import Percentiles
from gemma4_plan.span import Span

__all__ = ["as_json"]


def as_json(found: Answer) -> dict[str, Any]:
    """Return everything but the timelines' percentiles."""
    question, search = found.question, found.found
    return {
        "question": {
            "mean_rate": question.mean_rate, "peak_rate": question.peak_rate,
            "prompt_tokens": question.prompt_mean, "output_tokens": question.output_mean,
            "longest": question.longest, "ttft_ms": question.ttft_ms, "itl_ms": question.itl_ms,
        },
        "best": _candidate(found.best),
        "others": [_candidate(other) for other in search.others],
        "copies_needed": {"fast": search.fast, "middle": search.middle, "slow": search.slow},
        "planned_for": search.end,
        "usd_per_day": _maybe(found.usd_per_day),
        "usd_per_million_tokens": _maybe(found.usd_per_million),
        "day": _outcome(found.day) | {"shorter": found.shorter},
        "autoscaled": None if (scaled := found.scaled) is None else {
            "least": scaled.least, "most": scaled.most, "check": scaled.check,
            "usd_per_day": _maybe(scaled.usd_per_day),
        },
        "host": host_json(found.host),
        "deploy": deploy_json(found.chosen),
        "left_out": [{"what": left.what, "reason": left.reason} for left in search.left_out],
    }  # fmt: skip


def _candidate(candidate: Candidate) -> dict[str, Any]:
    option = candidate.option
    price = candidate.usd_per_hour
    return {
        "gpu": option.gpu, "precision": option.split.precision,
        "tensor_parallel": option.split.tp, "expert_parallel": option.split.ep,
        "status": option.status, "slots": option.streams, "copies_needed": candidate.needed,
        "spare": candidate.spare, "gpus": candidate.gpus,
        "usd_per_hour": None if price is None else list(price),
        "busiest": _outcome(candidate.outcome),
    }  # fmt: skip


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "arrived": outcome.arrived, "completed": outcome.completed,
        "refused": dict(outcome.refused), "failed": outcome.failed,
        "output_tokens_per_s": outcome.output_throughput, "attainment": _number(outcome.attainment),
        "gpu_hours": outcome.gpu_hours, "saturates": outcome.saturates,
        "pressure": dict(outcome.pressure), "ttft_s": _percentiles(outcome.ttft),
        "itl_s": _percentiles(outcome.itl), "simulated_replicas": outcome.simulated_replicas,
        "simulated_requests": outcome.simulated_requests, "wall_s": outcome.wall_s,
    }  # fmt: skip


def _percentiles(found: Percentiles) -> dict[str, float | None]:
    return {name: _number(value) for name, value in asdict(found).items()}


def _number(value: float) -> float | None:
    """Return None for nan, which JSON has not."""
    return None if math.isnan(value) else value


def _maybe(span: Span | None) -> list[float] | None:
    return None if span is None else span.as_list()
