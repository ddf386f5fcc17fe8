"""What limits?"""

from __future__ import annotations

from boards.parts import Board, Panel, Query, Row, Step, quantile

__all__ = ["LIMITS"]

_FULL = (Step(None, "green"), Step(0.8, "orange"), Step(0.95, "red"))
_PARTS = ("prepare", "queue", "prefill", "decode")
_NO_GPU = "no GPU, or Triton does not see it"
_NO_DRAFTS = "no speculative decoding"


def _ratio(part: str, whole: str) -> str:
    return f"sum(rate({part}{{@}}[R])) / (sum(rate({whole}{{@}}[R])) > 0)"


def _mean(part: str) -> str:
    name = f"gemma4_request_{part}_time_seconds"
    return _ratio(f"{name}_sum", f"{name}_count")


_FULLNESS = Row(
    "Is it full?",
    (
        Panel(
            "Slots in use",
            "A slot runs one request. At 100 % new requests wait, and more replicas or slots help.",
            (
                Query(
                    "sum(gemma4_num_requests_running{@}) / (sum(gemma4_slots{@}) > 0)", "in use"
                ),
            ),
            "percentunit", kind="stat", width=6, height=4, high=1, decimals=0, steps=_FULL,
            empty="no server",
        ),
        Panel(
            "Waiting",
            "Requests in the engine's queue. A few for a moment are normal; a queue that stays "
            "means that more comes than is done.",
            (Query("sum(gemma4_num_requests_waiting{@})", "waiting"),),
            "none", kind="stat", width=6, height=4, empty="no server",
            steps=(Step(None, "green"), Step(4, "orange"), Step(32, "red")),
        ),
        Panel(
            "KV cache in use",
            "The fullest replica. The cache keeps what running requests have read and written; "
            "when it is full, requests wait although slots are free.",
            (Query("max(gemma4_kv_cache_usage_perc{@})", "fullest"),),
            "percentunit", kind="stat", width=6, height=4, high=1, decimals=0, steps=_FULL,
            empty="no server",
        ),
        Panel(
            "GPUs at work",
            "Mean of all GPUs. Low with a full queue: something before the GPU limits.",
            (Query("avg(max by (gpu_uuid) (nv_gpu_utilization{@}))", "at work"),),
            "percentunit", kind="stat", width=6, height=4, high=1, decimals=0, empty=_NO_GPU,
        ),
        Panel(
            "Requests that run",
            "The dashed line is the number of slots, which is the most that can run at once.",
            (
                Query("sum(gemma4_num_requests_running{@})", "running"),
                Query("sum(gemma4_slots{@})", "slots"),
            ),
            "none", dashed=("slots",),
        ),
        Panel(
            "Requests that wait",
            "In the queue of each engine. Beyond the dashed line, new requests are refused "
            "(queue_full).",
            (
                Query("gemma4_num_requests_waiting{@}", "{{instance}}"),
                Query("max(gemma4_max_queued{@})", "most that may wait"),
            ),
            "none", dashed=("most that may wait",),
        ),
        Panel(
            "Share of slots in use, by replica",
            "How well filled the batch of each engine is. Replicas that differ for long are "
            "unevenly loaded.",
            (
                Query(
                    "avg_over_time(gemma4_num_requests_running{@}[R])"
                    " / (avg_over_time(gemma4_slots{@}[R]) > 0)",
                    "{{instance}}",
                ),
            ),
            "percentunit", high=1, steps=_FULL,
        ),
    ),
)  # fmt: skip

_TIME = Row(
    "Where does the time go?",
    (
        Panel(
            "Mean time of a request, by part",
            "prepare: checked and tokenized; queue: waiting for a slot; prefill: the prompt is "
            "read; decode: the answer is written. The thickest part limits.",
            tuple(Query(_mean(part), part) for part in _PARTS),
            "s", stacked=True, width=12,
        ),
        Panel(
            "Slow requests, by part (p95)",
            "95 % of the requests spend less than this in each part. The parts of one request "
            "need not be slow together, so they do not add up.",
            tuple(
                Query(quantile(0.95, f"gemma4_request_{part}_time_seconds"), part)
                for part in _PARTS
            ),
            "s", width=12,
        ),
    ),
)  # fmt: skip

_ENGINE = Row(
    "The engine",
    (
        Panel(
            "KV cache in use, by replica",
            "See above.",
            (Query("gemma4_kv_cache_usage_perc{@}", "{{instance}}"),),
            "percentunit", high=1, steps=_FULL,
        ),
        Panel(
            "Prompts from the cache",
            "Share of the prompt tokens that were in the prefix cache, so that nothing had to be "
            "computed: system prompts and earlier turns. 0 % with chats means that turns of a "
            "conversation reach different replicas, or that the cache is too small.",
            (
                Query(
                    _ratio("gemma4_prefix_cache_hits_total", "gemma4_prefix_cache_queries_total"),
                    "cached",
                ),
            ),
            "percentunit", high=1,
        ),
        Panel(
            "Tokens of each request",
            "Generated tokens per second, divided by the requests that run: what one user gets.",
            (
                Query(
                    "sum(rate(gemma4_generation_tokens_total{@}[R])) / "
                    "(sum(avg_over_time(gemma4_num_requests_running{@}[R])) > 0)",
                    "tokens/s",
                ),
            ),
            "suffix: tokens/s",
        ),
        Panel(
            "Tokens in a chunk",
            "1: each token is sent by itself. More: tokens are sent together, since readers or "
            "Triton lag behind the engine (or the engine makes several at once).",
            (
                Query(
                    _ratio("gemma4_streamed_tokens_total", "gemma4_streamed_chunks_total"), "tokens"
                ),
            ),
            "none", steps=(Step(None, "transparent"), Step(8, "orange")), decimals=1,
        ),
        Panel(
            "Drafted tokens that were right",
            "Speculative decoding guesses tokens, and the model checks them in one step. Below "
            "about 40 % the guesses cost more than they save.",
            (
                Query(
                    _ratio(
                        "gemma4_spec_decode_num_accepted_tokens_total",
                        "gemma4_spec_decode_num_draft_tokens_total",
                    ),
                    "accepted",
                ),
            ),
            "percentunit", high=1, empty=_NO_DRAFTS,
        ),
        Panel(
            "Tokens of a step with drafts",
            "The accepted ones and the model's own. Twice as high is nearly twice as fast.",
            (
                Query(
                    "1 + "
                    + _ratio(
                        "gemma4_spec_decode_num_accepted_tokens_total",
                        "gemma4_spec_decode_num_drafts_total",
                    ),
                    "tokens",
                ),
            ),
            "none", empty=_NO_DRAFTS, decimals=1,
        ),
    ),
)  # fmt: skip

_TRITON = Row(
    "Triton and the gateway",
    (
        Panel(
            "Waiting in Triton, by model",
            "Requests that Triton has not yet given to a model. The engine takes all at once, so "
            "what waits here waits for preparation or for a reader.",
            (Query("sum by (model) (nv_inference_pending_request_count{@})", "{{model}}"),),
            "none",
        ),
        Panel(
            "Time in Triton's own queues, by model",
            "Mean for each request. Milliseconds at most; more means that the server's CPU is "
            "short.",
            (
                Query(
                    "sum by (model) (rate(nv_inference_queue_duration_us{@}[R])) / "
                    "(sum by (model) (rate(nv_inference_request_success{@}[R])) > 0)",
                    "{{model}}",
                ),
            ),
            "µs",
        ),
        Panel(
            "Bytes at the gateway",
            "Of the bodies of requests that are on their way in or run.",
            (Query("sum by (instance) (gemma4_gateway_held_bytes{@})", "{{instance}}"),),
            "bytes", empty="no gateway",
        ),
        Panel(
            "Refused by the gateway's limits",
            "Requests per second, by the limit they hit: of a key or of the whole gateway.",
            (Query("sum by (limit) (rate(gemma4_gateway_limited_total{@}[R]))", "{{limit}}"),),
            "reqps", stacked=True, empty="nothing was refused",
        ),
        Panel(
            "Requests in flight, by back end",
            "How the gateway spreads requests over the Triton servers.",
            (Query("sum by (backend) (gemma4_gateway_backend_requests{@})", "{{backend}}"),),
            "none", empty="no gateway",
        ),
        Panel(
            "Bodies on their way in",
            "Requests that the gateway has not yet read to their end. Many: clients "
            "with slow lines, or an attack.",
            (Query("sum by (instance) (gemma4_gateway_uploads{@})", "{{instance}}"),),
            "none", empty="no gateway",
        ),
    ),
)  # fmt: skip

_MACHINE = Row(
    "The machines",
    (
        Panel(
            "CPU",
            "Of the machine, as Triton sees it. A full CPU slows preparation and sending.",
            (Query("nv_cpu_utilization{@}", "{{instance}}"),),
            "percentunit", high=1, steps=_FULL, empty="no server",
        ),
        Panel(
            "Memory",
            "Used on the machine, as Triton sees it.",
            (
                Query(
                    "nv_cpu_memory_used_bytes{@} / (nv_cpu_memory_total_bytes{@} > 0)",
                    "{{instance}}",
                ),
            ),
            "percentunit", high=1, steps=_FULL, empty="no server",
        ),
        Panel(
            "GPU",
            "Share of time in which the GPU ran anything.",
            (Query("max by (gpu_uuid) (nv_gpu_utilization{@})", "{{gpu_uuid}}"),),
            "percentunit", high=1, empty=_NO_GPU,
        ),
        Panel(
            "GPU memory",
            "TensorRT-LLM takes its share at the start: high and flat is normal.",
            (
                Query(
                    "max by (gpu_uuid) (nv_gpu_memory_used_bytes{@})"
                    " / (max by (gpu_uuid) (nv_gpu_memory_total_bytes{@}) > 0)",
                    "{{gpu_uuid}}",
                ),
            ),
            "percentunit", high=1, empty=_NO_GPU,
        ),
        Panel(
            "GPU power",
            "At the dashed limit the GPU slows down.",
            (
                Query("max by (gpu_uuid) (nv_gpu_power_usage{@})", "{{gpu_uuid}}"),
                Query("max(nv_gpu_power_limit{@})", "limit"),
            ),
            "watt", dashed=("limit",), empty=_NO_GPU,
        ),
    ),
)  # fmt: skip

LIMITS = Board(
    uid="gemma4-limits",
    question="What limits?",
    what="Slots, queues, caches, parts of a request and machines: which of them is full.",
    rows=(_FULLNESS, _TIME, _ENGINE, _TRITON, _MACHINE),
)
