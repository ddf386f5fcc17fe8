"""A span for each HTTP request, within the trace of its client. Names and attributes are those of
OpenTelemetry's semantic conventions for HTTP servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemma4_client import AsyncStream
from gemma4_runtime.trace_context import trace_context, trace_fields
from gemma4_runtime.tracing.attributes import operation_of, span_name
from gemma4_runtime.tracing.pipeline import SpanPipeline

from gemma4_gateway.record import LEFT, Record
from gemma4_gateway.translate.request_plan import EngineCall

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["ServerSpans", "name_span"]

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_LONGEST = 512
"""Characters of a path."""


def name_span(stream: AsyncStream, call: EngineCall, model: str) -> None:
    """Give the span of ``stream``, if it has one, the name of the model that was asked for."""
    span = stream.span
    if span is not None and span.is_recording():
        span.update_name(span_name(operation_of(chat=call.messages is not None), model))
        span.set_attribute("gen_ai.request.model", model)


class ServerSpans:
    """Makes spans for ``pipeline``."""

    def __init__(self, pipeline: SpanPipeline) -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._api = trace
        self._tracer = pipeline.tracer
        self._extract = TraceContextTextMapPropagator().extract
        self._root = Context()

    def begin(self, record: Record, scheme: str) -> Span:
        """Begin the span of a request whose ``trace`` is that of its client. From now on it is that
        of this span, which calls of back ends belong to."""
        known = record.method in _METHODS
        route = record.route_path
        method = record.method if known else "HTTP"
        attributes: dict[str, str] = {
            "http.request.method": record.method if known else "_OTHER",
            "url.path": record.path[:_LONGEST],
            "url.scheme": scheme,
            "gemma4.request_id": record.request_id,
        }
        if route:
            attributes["http.route"] = route
        span = self._tracer.start_span(
            f"{method} {route}" if route else method,
            context=self._extract(trace_fields(record.trace), self._root),
            kind=self._api.SpanKind.SERVER,
            attributes=attributes,
        )
        made = span.get_span_context()
        ids = f"00-{made.trace_id:032x}-{made.span_id:016x}-{made.trace_flags:02x}"
        record.trace = trace_context(ids, made.trace_state.to_header()) or record.trace
        record.span_id = f"{made.span_id:016x}" if span.is_recording() else ""
        return span

    def end(self, span: Span, record: Record) -> None:
        """End the span of an answered request."""
        if span.is_recording():
            if record.status != LEFT:
                span.set_attribute("http.response.status_code", record.status)
            if record.status >= 400:
                span.set_attribute("error.type", record.code or str(record.status))
            if record.status >= 500:
                span.set_status(self._api.StatusCode.ERROR)
        span.end()
