"""The spans of a request that has ended: its way through this server, with a part for each phase.

They are made of the times that the metrics have, after the last chunk. What the emitter's thread
does here is one span without attributes, to know its ids; a thread of this object does the rest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from queue import Full, Queue
from threading import Thread
from typing import TYPE_CHECKING

from gemma4_runtime.messages import GenerationRequest
from gemma4_runtime.server.streams.record import RequestRecord
from gemma4_runtime.trace_context import trace_fields
from gemma4_runtime.tracing.attributes import PROVIDER, operation_of, option_attributes, span_name
from gemma4_runtime.tracing.pipeline import SpanPipeline

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["EngineSpans", "phases"]

_MOST_ENDED = 1024
"""Requests whose spans are not made yet; those of others are dropped."""
_SPANS = 5
"""Of one request, all phases known."""
_FAULTS = frozenset({"INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED"})
"""Statuses that are an error of the server, as OpenTelemetry's convention for gRPC has it."""
_CLOSE_S = 1.0
"""Seconds for the spans of requests that ended just before the server's end."""

Phase = tuple[str, float, float]
"""Name, and seconds from the request's arrival to its begin and its end."""


def phases(record: RequestRecord) -> Iterator[Phase]:
    """Give the phases of a request in their order, as far as they are known: an engine does not say
    the times of an answer that was cut off."""
    end = record.prepare_s + record.total_s
    at = record.prepare_s
    yield "prepare", 0.0, at
    if record.queue_s or record.prefill_s or record.decode_s:
        for name, seconds in (
            ("queue", record.queue_s),
            ("prefill", record.prefill_s),
            ("decode", record.decode_s),
        ):
            begin, at = at, min(at + seconds, end)
            yield name, begin, at
    elif record.ttft_s:
        yield "decode", min(record.prepare_s + record.ttft_s, end), end


class EngineSpans:
    """Makes spans for ``pipeline``. ``model`` is the name of the checkpoint. Thread-safe."""

    def __init__(self, pipeline: SpanPipeline, model: str) -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._pipeline = pipeline
        self._model = model
        self._api = trace
        self._root = Context()
        self._extract = TraceContextTextMapPropagator().extract
        self._ended: Queue[tuple[Span, RequestRecord, GenerationRequest, int] | None]
        self._ended = Queue(_MOST_ENDED)
        self._thread = Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def ended(self, record: RequestRecord, request: GenerationRequest) -> tuple[str, str]:
        """Take a request that has ended just now. Return the ids of its trace and span for the log,
        in hexadecimal; "" for a span that is not recorded."""
        now = time.time_ns()
        start = now - _nanoseconds(record.prepare_s + record.total_s)
        trace = request.trace
        parent = self._extract(trace_fields(trace), self._root) if trace else self._root
        span = self._pipeline.tracer.start_span(
            span_name(operation_of(chat=request.parse_tools), self._model),
            context=parent,
            kind=self._api.SpanKind.SERVER,
            start_time=start,
        )
        if not span.is_recording():
            return trace.trace_id if trace else "", ""
        try:
            self._ended.put_nowait((span, record, request, start))
        except Full:
            self._pipeline.counts.dropped += _SPANS
        context = span.get_span_context()
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"

    def close(self) -> None:
        """Make the spans that are due; return within a second."""
        try:
            self._ended.put(None, timeout=_CLOSE_S)
        except Full:
            return
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while (ended := self._ended.get()) is not None:
            self._make(*ended)

    def _make(
        self, span: Span, record: RequestRecord, request: GenerationRequest, start: int
    ) -> None:
        inside = self._api.set_span_in_context(span, self._root)
        for name, begin, end in phases(record):
            phase = self._pipeline.tracer.start_span(
                name, context=inside, start_time=start + _nanoseconds(begin)
            )
            phase.end(start + _nanoseconds(end))
        span.set_attributes(_attributes(record, request, self._model))
        if record.status in _FAULTS:
            span.set_status(self._api.StatusCode.ERROR)
        span.end(start + _nanoseconds(record.prepare_s + record.total_s))


def _attributes(
    record: RequestRecord, request: GenerationRequest, model: str
) -> dict[str, str | int | float | list[str]]:
    sampling = request.sampling
    options: dict[str, object] = {
        "stream": request.stream,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "random_seed": sampling.seed,
    }
    found: dict[str, str | int | float | list[str]] = {
        "gen_ai.operation.name": operation_of(chat=request.parse_tools),
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": record.prompt_tokens,
        "gen_ai.usage.output_tokens": record.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": record.cached_tokens,
        "gemma4.request_id": record.request_id,
        **option_attributes(options),
    }
    if record.finish_reason:
        found["gen_ai.response.finish_reasons"] = [record.finish_reason]
    if record.ttft_s:
        found["gen_ai.response.time_to_first_chunk"] = record.prepare_s + record.ttft_s
    if record.code:
        found["error.type"] = record.code
    return found


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
