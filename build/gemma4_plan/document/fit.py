"""What ``gemma4 plan fit --json`` prints."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from gemma4_plan.document.parts import Deploy, Host, LeftOut, Range, SecondOpinion, strict

__all__ = ["Fit", "FitOption"]


@with_config(strict)
class FitOption(TypedDict):
    """One copy with ``streams`` requests at once, which ``bound`` (memory, batch, itl, ttft) holds
    down. Dollars are for 10^6 output tokens, null without a price; ``copies`` carry the rate that
    was asked for, null where none was."""

    gpu: str
    precision: str
    tensor_parallel: int
    expert_parallel: int
    status: str
    reason: str
    streams: int
    bound: str
    itl_ms: Range
    ttft_ms: Range
    tokens_per_s: Range
    usd_per_million_tokens: Range | None
    copies: Range | None
    build: str
    host: Host
    deploy: Deploy


@with_config(strict)
class Fit(TypedDict):
    """The options in their order, and what was not ranked. ``second_opinion`` is about the first
    option; null where none was asked for."""

    options: list[FitOption]
    left_out: list[LeftOut]
    second_opinion: SecondOpinion | None
