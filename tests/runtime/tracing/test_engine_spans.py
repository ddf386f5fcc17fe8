"""The spans of requests that ended, however they did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from gemma4_runtime.messages import GenerationRequest, SamplingParams
from gemma4_runtime.server.engine_spans import EngineSpans, phases
from gemma4_runtime.server.streams.record import RequestRecord
from gemma4_runtime.trace_context import TraceContext
from gemma4_runtime.tracing.pipeline import SpanPipeline
from gemma4_testing.fakes.collector import Collector, collector
from hypothesis import given
from hypothesis import strategies as st

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONTEXT = TraceContext(f"00-{TRACE}-{SPAN}-01", "a=1")
DONE = RequestRecord(
    request_id="r", key="k", status="OK", code="", finish_reason="stop", message="",
    prompt_tokens=7, completion_tokens=5, cached_tokens=2, chunks=5, streamed=True,
    prepare_s=0.002, queue_s=0.01, prefill_s=0.02, decode_s=0.05, ttft_s=0.03, total_s=0.09,
)  # fmt: skip
CUT_OFF = replace(
    DONE, status="CANCELLED", code="client_cancelled", finish_reason="", queue_s=0.0, prefill_s=0.0,
    decode_s=0.0,
)  # fmt: skip
REQUEST = GenerationRequest(
    key="k",
    input_ids=[1] * 7,
    sampling=SamplingParams(max_tokens=9, temperature=0.5, seed=2**64 - 1, stop=("secret",)),
    parse_tools=True,
    trace=CONTEXT,
    echo="secret",
)
SECONDS = st.floats(0, 1e5)


@pytest.fixture
def receiver() -> Iterator[Collector]:
    with collector() as made:
        yield made


def spans_of(
    receiver: Collector, record: RequestRecord, request: GenerationRequest = REQUEST, **env: str
) -> tuple[dict[str, Any], tuple[str, str]]:
    pipeline = SpanPipeline("engine", receiver.env | env)
    spans = EngineSpans(pipeline, "gemma-4-demo")
    ids = spans.ended(record, request)
    spans.close()
    pipeline.close()
    assert pipeline.counts.failed == pipeline.counts.dropped == 0
    assert pipeline.counts.exported == len(receiver.spans)
    return {span.name: span for span in receiver.spans}, ids


@pytest.fixture(autouse=True)
def sdk_reads(receiver: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in receiver.env.items():
        monkeypatch.setenv(name, value)


def test_an_answer(receiver: Collector) -> None:
    found, ids = spans_of(receiver, DONE)
    whole = found.pop("chat gemma-4-demo")
    assert ids == (TRACE, whole.span_id)
    assert (whole.trace_id, whole.parent_id, whole.kind) == (TRACE, SPAN, "server")
    assert whole.service == "engine" and not whole.failed and whole.state == "a=1"
    assert whole.milliseconds == pytest.approx(92)
    assert whole.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "triton",
        "gen_ai.request.model": "gemma-4-demo",
        "gen_ai.response.model": "gemma-4-demo",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_k": 64,
        "gen_ai.request.top_p": 0.95,
        "gen_ai.request.presence_penalty": 0.0,
        "gen_ai.request.frequency_penalty": 0.0,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": pytest.approx(0.032),
        "gemma4.request_id": "r",
    }
    assert list(found) == ["prepare", "queue", "prefill", "decode"]
    parts = list(found.values())
    assert {part.parent_id for part in parts} == {whole.span_id}
    assert [part.milliseconds for part in parts] == pytest.approx([2, 10, 20, 50])
    assert parts[0].start == whole.start and parts[-1].end <= whole.end
    assert all(one.end == other.start for one, other in pairwise(parts))


@pytest.mark.parametrize(
    ("status", "failed"),
    [("CANCELLED", False), ("INVALID_ARGUMENT", False), ("UNAVAILABLE", True), ("INTERNAL", True),
     ("DEADLINE_EXCEEDED", True)],
)  # fmt: skip
def test_one_that_was_cut_off(receiver: Collector, status: str, failed: bool) -> None:
    found, _ = spans_of(receiver, replace(CUT_OFF, status=status))
    whole = found["chat gemma-4-demo"]
    assert whole.failed == failed and whole.attributes["error.type"] == "client_cancelled"
    assert "gen_ai.response.finish_reasons" not in whole.attributes
    assert found.keys() == {"chat gemma-4-demo", "prepare", "decode"}
    assert found["decode"].end == whole.end


def test_without_a_trace_it_is_the_root(receiver: Collector) -> None:
    request = GenerationRequest("k", [1], SamplingParams(max_tokens=1))
    found, (trace_id, span_id) = spans_of(receiver, DONE, request)
    whole = found["text_completion gemma-4-demo"]
    assert (whole.trace_id, whole.span_id, whole.parent_id) == (trace_id, span_id, "")


def test_what_the_client_does_not_record(
    receiver: Collector,
) -> None:
    trace = TraceContext(f"00-{TRACE}-{SPAN}-00")
    request = GenerationRequest("k", [1], SamplingParams(max_tokens=1), trace=trace)
    found, ids = spans_of(receiver, DONE, request)
    assert not found and ids == (TRACE, "")


def test_the_sampler_of_the_environment(
    receiver: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    found, ids = spans_of(receiver, DONE)
    assert not found and ids == (TRACE, "")


@given(st.tuples(*[SECONDS] * 6))
def test_phases_never_leave_the_request(times: tuple[float, ...]) -> None:
    names = ("prepare_s", "queue_s", "prefill_s", "decode_s", "ttft_s", "total_s")
    changes: dict[str, Any] = dict(zip(names, times, strict=True))
    record = replace(DONE, **changes)
    end = record.prepare_s + record.total_s
    at = 0.0
    for _, begin, over in phases(record):
        assert at <= begin <= over <= end
        at = over


def test_a_flood_is_dropped_and_counted(
    receiver: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector hangs: whoever makes spans never waits, and nothing is lost uncounted."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    receiver.hangs = True
    pipeline = SpanPipeline("engine", receiver.env | {"OTEL_BSP_MAX_QUEUE_SIZE": "100"})
    spans = EngineSpans(pipeline, "m")
    for _ in range(3000):
        spans.ended(DONE, REQUEST)
    spans.close()
    pipeline.close()
    counts = pipeline.counts
    assert counts.exported == 0 and counts.dropped > 3000
    assert 3000 * 5 - 200 <= counts.dropped + counts.failed <= 3000 * 5
