"""A collector of OpenTelemetry: OTLP over HTTP, read with the protocol's own messages."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

__all__ = ["Collector", "ReceivedSpan", "collector", "tree"]

KINDS = {
    trace_pb2.Span.SPAN_KIND_INTERNAL: "internal",
    trace_pb2.Span.SPAN_KIND_SERVER: "server",
    trace_pb2.Span.SPAN_KIND_CLIENT: "client",
}


@dataclass(frozen=True)
class ReceivedSpan:
    """Ids in hexadecimal; ``parent_id`` "" for none. Times are Unix nanoseconds."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    failed: bool
    service: str
    state: str
    attributes: dict[str, Any] = field(hash=False)

    @property
    def milliseconds(self) -> float:
        return (self.end - self.start) / 1e6


class Collector:
    """Listens on ``endpoint``. ``status``: what it answers. While ``hangs`` is set it does not."""

    def __init__(self) -> None:
        self.status = 200
        self.hangs = False
        self.requests = 0
        self.spans: list[ReceivedSpan] = []
        self._news = Condition()
        self._over = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def env(self) -> dict[str, str]:
        """What a process is told to send its spans here, at once."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }

    def wait_for(self, names: dict[str, int], *, trace_id: str, timeout: float = 30) -> None:
        """Wait until a trace has so many spans of each name."""

        def here() -> bool:
            found = [span.name for span in self.spans if span.trace_id == trace_id]
            return all(found.count(name) >= count for name, count in names.items())

        with self._news:
            if not self._news.wait_for(here, timeout):
                raise AssertionError(f"{names} did not come, but {self.spans}")

    def trace(self, trace_id: str) -> list[ReceivedSpan]:
        with self._news:
            return [span for span in self.spans if span.trace_id == trace_id]

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if outer.hangs:
                    outer._over.wait(60)
                    return
                assert self.headers["Content-Type"] == "application/x-protobuf"
                if outer.status == 200:
                    assert self.path == "/v1/traces"
                    outer._take(body)
                outer.requests += 1
                reply = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()
                self.send_response(outer.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def _take(self, body: bytes) -> None:
        asked = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        with self._news:
            for resource in asked.resource_spans:
                about = _values(resource.resource.attributes)
                for scope in resource.scope_spans:
                    self.spans += [_received(span, about["service.name"]) for span in scope.spans]
            self._news.notify_all()


def _received(span: trace_pb2.Span, service: str) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        service=service,
        state=span.trace_state,
        attributes=_values(span.attributes),
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def collector() -> Iterator[Collector]:
    made = Collector()
    try:
        yield made
    finally:
        made.close()


def tree(spans: list[ReceivedSpan]) -> str:
    """One trace for people: who is in whom, when each began, and how long it took."""
    known = {span.span_id for span in spans}
    begin = min(span.start for span in spans)
    lines: list[str] = []

    def show(span: ReceivedSpan, depth: int) -> None:
        at = (span.start - begin) / 1e6
        name = f"{'  ' * depth}{span.name}"
        kind = "" if span.kind == "internal" else f" {span.service}, {span.kind}"
        lines.append(f"{name:<34}{at:9.1f} ms {span.milliseconds:9.1f} ms {kind}".rstrip())
        for child in sorted(spans, key=lambda each: (each.start, each.end)):
            if child.parent_id == span.span_id:
                show(child, depth + 1)

    for span in sorted(spans, key=lambda each: each.start):
        if span.parent_id not in known:
            show(span, 0)
    return "\n".join([f"{'span':<34}{'begins':>12} {'takes':>12}", *lines])
