"""The host's part of an answer, for a terminal and as JSON."""

from __future__ import annotations

from gemma4_plan.document.parts import Host
from gemma4_plan.host.costs import HostCosts
from gemma4_plan.span import Span

__all__ = ["host_json", "host_line"]


def host_line(costs: HostCosts) -> str:
    """Return one line of text."""
    return (
        f"hosts, {costs.tokens_per_s:,.0f} tokens/s: Triton {_cores(costs.triton_cores)} beside "
        f"TensorRT-LLM's own processes; gateways {_cores(costs.gateway_cores)}, so "
        f"{costs.gateways:,} and a spare one; network {_rate(costs.to_clients)} to clients, "
        f"{_rate(costs.from_triton)} between Triton and gateways, {_rate(costs.prompts)} of prompts"
    )


def host_json(costs: HostCosts) -> Host:
    """Return spans as [low, high]: cores, and bytes/s."""
    return {
        "tokens_per_s": costs.tokens_per_s,
        "triton_cores": costs.triton_cores.as_list(),
        "gateway_cores": costs.gateway_cores.as_list(),
        "gateways": costs.gateways,
        "bytes_per_s_to_clients": costs.to_clients.as_list(),
        "bytes_per_s_from_triton": costs.from_triton.as_list(),
        "bytes_per_s_of_prompts": costs.prompts.as_list(),
        "sources": list(costs.sources),
    }


def _cores(span: Span) -> str:
    return f"{_ends(span, 1.0)} cores"


def _rate(span: Span) -> str:
    units = (("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3))
    unit, size = next((unit for unit in units if span.high >= unit[1]), ("B/s", 1.0))
    return f"{_ends(span, size)} {unit}"


def _ends(span: Span, size: float) -> str:
    ends = [_digits(end / size) for end in (span.low, span.high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _digits(value: float) -> str:
    """Return two digits, and of large numbers all."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
