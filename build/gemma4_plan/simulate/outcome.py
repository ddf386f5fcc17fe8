"""What came of a simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Interval", "Outcome", "Percentiles"]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Seconds; nan where there are no values. From a histogram whose bins are 0.2 % wide.

    ``p95_low`` and ``p95_high`` are the values at the ranks between which, 19 times of 20, the p95
    lies of which these are a sample (binomial). Requests that wait in one queue are no independent
    sample, so they are the least that another day would differ by."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    p95_low: float = math.nan
    p95_high: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A part of the day, from ``start_s`` for ``length_s`` seconds. All counts are of the whole
    fleet, sampled or not. ``arrived``, ``refused``, ``failed``, ``kept`` (within the SLOs) are of
    the requests that arrived in it; ``ended`` and ``output_tokens`` of what came out in it. The
    rest are means over the time: ``replicas`` (paid for), ``ready`` ones, ``running`` and
    ``waiting`` requests; ``slots``, ``kv``, ``busy``, ``queue`` are shares, 0 to 1, of the ready
    replicas: slots taken, room of the KV cache taken, time in steps, places in the queue taken."""

    start_s: float
    length_s: float
    arrived: float
    ended: float
    refused: float
    failed: float
    kept: float
    output_tokens: float
    replicas: float
    ready: float
    running: float
    waiting: float
    slots: float
    kv: float
    busy: float
    queue: float
    ttft: Percentiles
    itl: Percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Counts and rates are of the whole fleet, and of requests that arrived after the warm-up.

    ``refused`` by reason: ``queue_full``, ``gateway_full``, ``max_running``,
    ``requests_per_minute``, ``tokens_per_minute``, ``no_replica``, ``too_long``. ``failed``: lost
    with a replica. Arrived requests are completed, refused or failed: the simulation goes on until
    nothing runs. ``prompt_tokens`` (of them ``cached_tokens`` not read again) and ``output_tokens``
    are those of completed requests, ``generated_tokens`` those of all steps, warm-up included.
    ``ttft`` counts from the arrival, the gateway included; ``itl`` is the mean of each answer;
    ``queue`` is the wait before the engine takes it. ``output_throughput`` is tokens/s that came in
    the ``seconds`` between warm-up and the end of the traffic. ``goodput`` is requests/s that kept
    all SLOs, ``attainment`` their share of those that arrived, ``holds`` whether it is enough.
    ``suspended``: answers that had to wait for room in the KV cache.

    ``pressure`` is how full each limit is in the interval with most requests on a replica, 1 being
    full: ``slots``, ``kv``, ``queue``, ``gateway`` (``max_running``); and ``ttft`` and ``itl``, the
    p95 there as a share of the SLO. ``saturates`` names the largest. ``simulated_replicas`` below
    the fleet's are a sample (docs/planning.md); ``simulated_requests`` and ``events`` are what was
    computed in ``wall_s``."""

    seconds: float
    arrived: float
    completed: float
    refused: Mapping[str, float]
    failed: float
    prompt_tokens: float
    cached_tokens: float
    output_tokens: float
    generated_tokens: float
    ttft: Percentiles
    itl: Percentiles
    e2e: Percentiles
    queue: Percentiles
    request_throughput: float
    output_throughput: float
    goodput: float
    attainment: float
    holds: bool
    gpu_hours: float
    replica_hours: float
    suspended: float
    timeline: tuple[Interval, ...]
    saturates: str
    pressure: Mapping[str, float]
    simulated_replicas: int
    simulated_requests: int
    events: int
    wall_s: float
