"""From work to seconds, by a roofline with fitted efficiencies."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_plan.catalog import Card
from gemma4_plan.speed.work import Work

__all__ = ["Efficiency", "missing_figure", "parts", "seconds"]

_MESSAGE_S = 10e-6
"""Seconds that a reduction takes however small it is (aiconfigurator, systems/*.yaml, p2p_latency).
Not fitted: there is no published measurement of this model on several GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """``memory`` and ``compute`` are shares of the nominal figures that are reached, ``launch_s``
    the seconds of a step that no data explains, ``routing`` see
    :func:`~gemma4_plan.speed.work.work_of`."""

    memory: float
    compute: float
    launch_s: float
    routing: float


def missing_figure(card: Card, precision: str) -> str:
    """Return which figure the catalog lacks for a speed; "" where none is missing."""
    if card.bandwidth_gbs is None:
        return "bandwidth_gbs"
    if card.tflops is None or card.tflops.bf16 is None:
        return "tflops.bf16"
    if precision != "bf16" and getattr(card.tflops, _TYPE[precision]) is None:
        return f"tflops.{_TYPE[precision]}"
    return ""


_TYPE = {"bf16": "bf16", "fp8": "fp8", "nvfp4": "nvfp4", "int4": "fp8"}
"""The type in which the experts' products are computed; int4's are W4A8."""


def seconds(work: Work, card: Card, precision: str, efficiency: Efficiency) -> float:
    """Return the seconds of a step: reading and computing overlap, sending does not. The figures
    must be there (:func:`missing_figure`)."""
    launch, reading, computing, sending = parts(work, card, precision, efficiency)
    return launch + max(reading, computing) + sending


def parts(
    work: Work, card: Card, precision: str, efficiency: Efficiency
) -> tuple[float, float, float, float]:
    """Return the seconds of launch, reading, computing and sending."""
    assert card.bandwidth_gbs is not None and card.tflops is not None
    rates = card.tflops
    of_experts = getattr(rates, _TYPE[precision]) or rates.bf16 or 0.0
    of_others = (rates.fp8 if precision in ("fp8", "int4") else rates.bf16) or 0.0
    reading = work.read / (card.bandwidth_gbs.value * 1e9 * efficiency.memory)
    computing = work.expert_flops / of_experts + work.other_flops / of_others
    computing /= 1e12 * efficiency.compute
    sending = 0.0
    if work.messages:
        link = 0.0 if card.link_gbs is None else card.link_gbs.value * 1e9
        sending = work.messages * _MESSAGE_S + (work.sent / link if link else 0.0)
    return efficiency.launch_s, reading, computing, sending
