"""The families of metrics: names, labels, buckets, and what they say.

Names and buckets follow vLLM's (``vllm/v1/metrics/loggers.py`` of 0.11) under our prefix, so that a
query written for it needs another prefix only. ``nv_trt_llm_*`` are NVIDIA's own, as Triton's
TensorRT-LLM backend fills them, which the endpoint picker of the Gateway API Inference Extension
reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FAMILIES", "Family", "Kind"]

Kind = Literal["counter", "gauge", "histogram"]

_TTFT_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
)  # fmt: skip
_BETWEEN_TOKENS_S = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
)  # fmt: skip
_REQUEST_S = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
)  # fmt: skip
_TOKENS = tuple(float(digit * 10**power) for power in range(6) for digit in (1, 2, 5))
"""1, 2, 5, 10, ... 500,000: beyond the context of any model of this family."""


@dataclass(frozen=True, slots=True)
class Family:
    """``buckets``: upper bounds of a histogram, ascending, without the last (infinity).
    ``few``: with less new values it waits for others, up to a minute (see the publisher).
    ``late``: a gauge that is not there before it is set; others begin with 0."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    few: int = 16
    late: bool = False


FAMILIES = (
    Family("gemma4_time_to_first_token_seconds", "histogram",
           "From the arrival of a request to its first token", buckets=_TTFT_S),
    Family("gemma4_inter_token_latency_seconds", "histogram",
           "Between two tokens of an answer; those of one chunk share its time",
           buckets=_BETWEEN_TOKENS_S, few=1024),  # 68 tokens/s in the usual 15 s
    Family("gemma4_e2e_request_latency_seconds", "histogram",
           "From the arrival of a request to the end of its answer", buckets=_REQUEST_S),
    Family("gemma4_request_prepare_time_seconds", "histogram",
           "From the arrival of a request to its arrival at the engine: checked and tokenized",
           buckets=_TTFT_S),
    Family("gemma4_request_queue_time_seconds", "histogram",
           "In the engine's queue", buckets=_REQUEST_S),
    Family("gemma4_request_prefill_time_seconds", "histogram",
           "From the slot to the first token", buckets=_REQUEST_S),
    Family("gemma4_request_decode_time_seconds", "histogram",
           "From the first token to the last", buckets=_REQUEST_S),
    Family("gemma4_request_prompt_tokens", "histogram", "Tokens of prompts", buckets=_TOKENS),
    Family("gemma4_request_generation_tokens", "histogram", "Tokens of answers", buckets=_TOKENS),
    Family("gemma4_prompt_tokens_total", "counter", "Tokens of prompts that the engine took"),
    Family("gemma4_generation_tokens_total", "counter", "Generated tokens"),
    Family("gemma4_prefix_cache_queries_total", "counter",
           "Tokens of prompts that were looked up in the prefix cache"),
    Family("gemma4_prefix_cache_hits_total", "counter",
           "Tokens of prompts that came from the prefix cache"),
    Family("gemma4_request_success_total", "counter", "Requests that were answered",
           labels=("finished_reason",)),
    Family("gemma4_request_failure_total", "counter",
           "Requests that ended with an error: its status and code, and the model that gave it",
           labels=("status", "code", "step")),
    Family("gemma4_chunks_total", "counter",
           "Chunks of answers; one for an answer that is not streamed"),
    Family("gemma4_streamed_tokens_total", "counter", "Generated tokens of streamed answers"),
    Family("gemma4_streamed_chunks_total", "counter",
           "Chunks of streamed answers; their tokens by these is the coalescing"),
    Family("gemma4_num_requests_running", "gauge", "Requests in a slot of the engine"),
    Family("gemma4_num_requests_waiting", "gauge", "Requests in the engine's queue"),
    Family("gemma4_slots", "gauge", "Requests that the engine runs at once"),
    Family("gemma4_max_queued", "gauge", "Requests that may wait for a slot"),
    Family("gemma4_kv_cache_usage_perc", "gauge",
           "Used share of the KV cache, 0 to 1; slots where the cache is fixed for each"),
    Family("gemma4_spec_decode_num_drafts_total", "counter",
           "Drafts that were checked, one for each request in a step; absent where the engine does "
           "not draft, as the next two"),
    Family("gemma4_spec_decode_num_draft_tokens_total", "counter", "Tokens of these drafts"),
    Family("gemma4_spec_decode_num_accepted_tokens_total", "counter",
           "Tokens of these drafts that the model accepted; its own next token is not among them"),
    Family("gemma4_engine_restarts_total", "counter",
           "Restarts of the server by `gemma4 serve` since it began; 0 under a `tritonserver` "
           "without it", labels=("reason",)),
    Family("gemma4_last_update_timestamp_seconds", "gauge",
           "Unix time when the model `engine` last sent its metrics, once a second; an older one: "
           "it stands still"),
    Family("gemma4_draining", "gauge", "1: the server takes no new requests"),
    Family("gemma4_build_info", "gauge", "1; the labels say what runs",
           labels=("version", "runtime", "runtime_version", "precision", "model_name")),
    Family("gemma4_quality_gate_ok", "gauge",
           "1: the last run of the quality gate passed; 0: it failed. Not there before a run, and "
           "when the gate is off", late=True),
    Family("gemma4_quality_gate_agreement", "gauge",
           "Share of the recorded tokens that the last run of the quality gate gave, 0 to 1",
           late=True),
    Family("gemma4_quality_gate_log_prob_change_nats", "gauge",
           "Largest change of the log-probability of a recorded token in the last run of the "
           "quality gate, since the first run of this server or since the build. Not there where "
           "the engine tells none", late=True),
    Family("gemma4_quality_gate_last_run_timestamp_seconds", "gauge",
           "Unix time of the last run of the quality gate that passed or failed", late=True),
    Family("gemma4_quality_gate_runs_total", "counter",
           "Runs of the quality gate: passed, failed, skipped", labels=("result",)),
    Family("gemma4_trace_spans_total", "counter",
           "Spans of the model `engine`: exported; failed, the collector did not take them; "
           "dropped, too many waited. Not there unless traces are sent", labels=("result",)),
    Family("nv_trt_llm_request_metrics", "gauge", "Requests, as NVIDIA's TensorRT-LLM backend",
           labels=("model", "version", "request_type")),
    Family("nv_trt_llm_kv_cache_block_metrics", "gauge",
           "Blocks of the KV cache, as NVIDIA's TensorRT-LLM backend",
           labels=("model", "version", "kv_cache_block_type")),
)  # fmt: skip
"""All families. Every label has few values: none comes from a client."""
