"""The answer as JSON: seconds, dollars, spans as [low, high]."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from gemma4_plan.deploy.shown import deploy_json
from gemma4_plan.document.capacity import Capacity, Fleet, FleetCourse
from gemma4_plan.document.parts import Percentiles
from gemma4_plan.fleet.answer import Answer
from gemma4_plan.fleet.search import Candidate
from gemma4_plan.host.shown import host_json
from gemma4_plan.second.opinion import Opinion
from gemma4_plan.second.shown import opinion_json
from gemma4_plan.simulate import Outcome
from gemma4_plan.simulate import Percentiles as Times
from gemma4_plan.span import Span

__all__ = ["as_json"]


def as_json(found: Answer, opinion: Opinion | None = None) -> Capacity:
    """Return everything but the timelines' percentiles. What is nan is printed as null."""
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
        "day": {**_outcome(found.day), "shorter": found.shorter},
        "autoscaled": None if (scaled := found.scaled) is None else {
            "least": scaled.least, "most": scaled.most, "check": scaled.check,
            "usd_per_day": _maybe(scaled.usd_per_day),
        },
        "host": host_json(found.host),
        "deploy": deploy_json(found.chosen),
        "left_out": [{"what": left.what, "reason": left.reason} for left in search.left_out],
        "second_opinion": opinion_json(opinion),
    }  # fmt: skip


def _candidate(candidate: Candidate) -> Fleet:
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


def _outcome(outcome: Outcome) -> FleetCourse:
    return {
        "arrived": outcome.arrived, "completed": outcome.completed,
        "refused": dict(outcome.refused), "failed": outcome.failed,
        "output_tokens_per_s": outcome.output_throughput, "attainment": outcome.attainment,
        "gpu_hours": outcome.gpu_hours, "saturates": outcome.saturates,
        "pressure": dict(outcome.pressure), "ttft_s": _percentiles(outcome.ttft),
        "itl_s": _percentiles(outcome.itl), "simulated_replicas": outcome.simulated_replicas,
        "simulated_requests": outcome.simulated_requests, "wall_s": outcome.wall_s,
    }  # fmt: skip


def _percentiles(found: Times) -> Percentiles:
    return cast("Percentiles", asdict(found))


def _maybe(span: Span | None) -> list[float] | None:
    return None if span is None else span.as_list()
