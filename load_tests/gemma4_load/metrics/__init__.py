"""Every metric, one in a module; the formula and its source are in its docstring."""

from __future__ import annotations

from gemma4_load.metrics.attainment import Attainment
from gemma4_load.metrics.base import RequestMetric, RunMetric, Slo, Unit, met
from gemma4_load.metrics.decode_time import DecodeTime
from gemma4_load.metrics.error_rate import ErrorRate
from gemma4_load.metrics.goodput import Goodput
from gemma4_load.metrics.in_flight import InFlight
from gemma4_load.metrics.inter_chunk import InterChunk
from gemma4_load.metrics.itl import Itl
from gemma4_load.metrics.latency import Latency
from gemma4_load.metrics.output_throughput import OutputThroughput
from gemma4_load.metrics.output_tokens import OutputTokens
from gemma4_load.metrics.prefill_time import PrefillTime
from gemma4_load.metrics.prompt_tokens import PromptTokens
from gemma4_load.metrics.queue_time import QueueTime
from gemma4_load.metrics.request_throughput import RequestThroughput
from gemma4_load.metrics.send_lag import SendLag
from gemma4_load.metrics.total_throughput import TotalThroughput
from gemma4_load.metrics.tpot import Tpot
from gemma4_load.metrics.ttft import Ttft
from gemma4_load.metrics.user_throughput import UserThroughput

__all__ = ["REQUEST_METRICS", "RUN_METRICS", "RequestMetric", "RunMetric", "Slo", "Unit", "met"]

REQUEST_METRICS: dict[str, RequestMetric] = {
    metric.name: metric
    for metric in (
        Ttft(), Itl(), InterChunk(), Tpot(), Latency(), QueueTime(), PrefillTime(),
        DecodeTime(), UserThroughput(), PromptTokens(), OutputTokens(), SendLag(),
    )
}  # fmt: skip
RUN_METRICS: dict[str, RunMetric] = {
    metric.name: metric
    for metric in (
        OutputThroughput(), TotalThroughput(), RequestThroughput(), Goodput(), Attainment(),
        ErrorRate(), InFlight(),
    )
}  # fmt: skip
