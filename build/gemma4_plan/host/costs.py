"""Cores and network that a stream of requests takes beside the GPUs."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from gemma4_plan.host.figures import HostFigures, read_figures
from gemma4_plan.span import Span

__all__ = ["HostCosts", "host_costs"]

EVENT_BYTES = Span(250, 340)
"""Bytes that a token takes from the gateway to its client: a server-sent event of a chat completion
with a text of 4 to 12 bytes and a name of the model of 7, 6 bytes of HTTP chunk, and in the high
one the 66 of Ethernet, IPv4 and TCP, as if each token had a packet of its own. Derived from the
gateway's own events; a test compares."""

CHUNK_BYTES = Span(120, 250)
"""Bytes that a token takes from Triton to the gateway: an entry of a feed's array in JSON, and in
the high one the frames of gRPC and HTTP/2 and a packet of its own. Derived in the same way."""

PROMPT_BYTES = Span(4, 6)
"""Bytes of text of a prompt's token on the way in: English prose. Derived from the published
vocabulary of 262,144 pieces; other scripts take more."""

_FULLEST = 0.7
"""Share of its one core that a gateway may take, so that a burst does not make tokens wait."""

_GATEWAY_REQUESTS = 1024
"""Answers at once in one gateway: its default ``--max-running``."""

_REQUEST_S = 0.0012
"""CPU seconds of a request in the gateway (bench/RESULTS.md, The gateway)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCosts:
    """Of the whole fleet at the given load. ``triton_cores`` are beside those that TensorRT-LLM's
    own processes take; ``gateways`` are processes of one core each, without a spare one; bytes/s of
    all streams together, ``to_clients`` and ``from_triton``."""

    tokens_per_s: float
    triton_cores: Span
    gateway_cores: Span
    gateways: int
    to_clients: Span
    from_triton: Span
    prompts: Span
    sources: tuple[str, ...]


def host_costs(
    *, requests_per_s: float, prompt: float, output: float, copies: int, at_once: float,
    figures: HostFigures | None = None,
) -> HostCosts:  # fmt: skip
    """Return what ``requests_per_s`` of ``prompt`` and ``output`` tokens take, of which ``at_once``
    run together, on ``copies`` servers that share them evenly."""
    found = figures or read_figures()
    tokens = requests_per_s * output
    triton = _times(found.per_token_s("triton", tokens / copies), tokens) + _times(
        found.per_prompt_s(prompt), requests_per_s
    )
    least = max(1, math.ceil(at_once / _GATEWAY_REQUESTS))

    def cores(gateways: int) -> Span:
        return _gateway(found, tokens / gateways, requests_per_s / gateways)

    most = least
    while cores(most).high > _FULLEST:
        most *= 2
    # The least of this range whose cores suffice: the more gateways, the less each takes.
    gateways = bisect_left(range(most + 1), True, least, key=lambda n: cores(n).high <= _FULLEST)
    each = cores(gateways)
    return HostCosts(
        tokens_per_s=tokens,
        triton_cores=triton,
        gateway_cores=_times(each, gateways),
        gateways=gateways,
        to_clients=_times(EVENT_BYTES, tokens),
        from_triton=_times(CHUNK_BYTES, tokens),
        prompts=_times(PROMPT_BYTES, requests_per_s * prompt),
        sources=tuple(found.sources),
    )


def _gateway(found: HostFigures, tokens_per_s: float, requests_per_s: float) -> Span:
    """Return the cores of one gateway."""
    tokens = _times(found.per_token_s("gateway", tokens_per_s), tokens_per_s)
    return tokens + Span(requests_per_s * _REQUEST_S, requests_per_s * _REQUEST_S)


def _times(span: Span, factor: float) -> Span:
    return Span(span.low * factor, span.high * factor)
