"""What tracing costs by CPU clocks, for one request: ``python bench/tracing_cost.py``.

A receiver of OTLP runs in a process of its own. Printed is the CPU time of the thread that serves
(the engine's emitter, the gateway's event loop), and of all other threads of the process, which
make the spans and send them; and what a request costs that is not traced. Two whole servers are
not compared: their noise is larger than what is looked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

from gemma4_client.address import parse_address
from gemma4_client.request import chat_request
from gemma4_client.results import Delta
from gemma4_client.spans import CallSpans
from gemma4_gateway.record import Record
from gemma4_gateway.spans import ServerSpans
from gemma4_runtime.messages import GenerationRequest, SamplingParams
from gemma4_runtime.server.engine_spans import EngineSpans
from gemma4_runtime.server.streams.record import RequestRecord
from gemma4_runtime.trace_context import read_trace, trace_context
from gemma4_runtime.tracing.pipeline import SpanPipeline

REQUESTS = 300
"""Fewer than may wait for their spans, so that none is dropped."""
ROUNDS = 10
RECEIVER = (
    "from gemma4_testing.fakes.collector import Collector; import threading; "
    "print(Collector().port, flush=True); threading.Event().wait()"
)
IDS = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
RECORD = RequestRecord(
    request_id="r" * 32, key="k", streamed=True, status="OK", code="", finish_reason="stop",
    message="", prompt_tokens=9, completion_tokens=200, cached_tokens=0, chunks=200, prepare_s=0.01,
    queue_s=0.01, prefill_s=0.01, decode_s=4.0, ttft_s=0.02, total_s=4.1,
)  # fmt: skip
LAST = Delta("", "", [], "stop", 9, 9, 200, [], [], None)


def plain_us(action: Callable[[], object]) -> float:
    """Microseconds of CPU of one ``action`` in this thread."""
    began = time.thread_time()
    for _ in range(20_000):
        action()
    return (time.thread_time() - began) / 20_000 * 1e6


def traced(name: str, pipeline: SpanPipeline, action: Callable[[], object], spans: int) -> None:
    """Print what ``action`` costs, once for each request."""
    here = elsewhere = 0.0
    for _ in range(ROUNDS):
        due = pipeline.counts.exported + spans * REQUESTS
        thread, process = time.thread_time(), time.process_time()
        for _ in range(REQUESTS):
            action()
        mine = time.thread_time() - thread
        while pipeline.counts.exported < due:
            time.sleep(0.01)
        here += mine
        elsewhere += time.process_time() - process - mine
    per = 1e6 / (ROUNDS * REQUESTS)
    print(f"{name:38} {here * per:7.1f} us, other threads {elsewhere * per:7.1f} us")
    assert pipeline.counts.dropped == pipeline.counts.failed == 0


def main() -> None:
    """Measure and print."""
    receiver = subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = (
        f"http://127.0.0.1:{receiver.stdout.readline().strip()}"
    )
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "50"
    pipeline = SpanPipeline("bench", os.environ)
    engine = EngineSpans(pipeline, "gemma-4")
    server = ServerSpans(pipeline)
    client = CallSpans(pipeline.tracer, parse_address("127.0.0.1:8001"))
    sampled, other = trace_context(f"00-{IDS}-01"), trace_context(f"00-{IDS}-00")
    sampling = SamplingParams(max_tokens=200)

    def asked(flag: object) -> GenerationRequest:
        return GenerationRequest("k", [1] * 9, sampling, trace=flag)  # type: ignore[arg-type]

    def http() -> None:
        record = Record("r" * 32, "POST", "/v1/chat/completions", status=200, trace=sampled)
        server.end(server.begin(record, "http"), record)

    request = chat_request("Hi", {"temperature": 0.5, "max_tokens": 200})

    def call() -> None:
        _, span = client.start(request)
        span.end(LAST)

    parameters = {"triton_enable_empty_final_response": True, "gemma4_feed": "k" * 32 + "/3"}
    try:
        print(
            f"not traced: look for a context in parameters {plain_us(lambda: read_trace(parameters)):.2f} us"
        )
        with_context = {**parameters, "traceparent": f"00-{IDS}-01"}
        print(f"read one {plain_us(lambda: read_trace(with_context)):.2f} us")
        unsampled = asked(other)
        print(f"engine, not sampled {plain_us(lambda: engine.ended(RECORD, unsampled)):.1f} us")
        whole = asked(sampled)
        traced("engine, 5 spans", pipeline, lambda: engine.ended(RECORD, whole), 5)
        traced("gateway, span of the HTTP request", pipeline, http, 1)
        traced("SDK, span of the call", pipeline, call, 1)
    finally:
        engine.close()
        pipeline.close()
        receiver.terminate()


if __name__ == "__main__":
    main()
