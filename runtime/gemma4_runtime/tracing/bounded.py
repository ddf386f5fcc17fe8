"""Spans on their way out: bounded, counted, and no concern of those who make them.

The SDK's batch processor takes the oldest span away when its queue is full, and counts that for its
own metrics only. So those that would not fit are dropped before it, and counted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

__all__ = ["BoundedProcessor", "CountingExporter", "SpanCounts"]


@dataclass(slots=True)
class SpanCounts:
    """Spans since the start: the collector took them, it could not be reached or refused them, or
    there was no room for them."""

    exported: int = 0
    failed: int = 0
    dropped: int = 0


class _Waiting:
    """Spans that wait to be exported, at most ``most``. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._waiting = 0
        self.counts = SpanCounts()

    def enter(self) -> bool:
        with self._lock:
            if self._waiting >= self._most:
                self.counts.dropped += 1
                return False
            self._waiting += 1
            return True

    def leave(self, spans: int, *, exported: bool) -> None:
        with self._lock:
            self._waiting -= spans
            if exported:
                self.counts.exported += spans
            else:
                self.counts.failed += spans


class CountingExporter(SpanExporter):
    """``inner`` with counts. ``most`` spans may wait for it."""

    def __init__(self, inner: SpanExporter, most: int) -> None:
        self._inner = inner
        self.waiting = _Waiting(most)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            self.waiting.leave(len(spans), exported=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


class BoundedProcessor(SpanProcessor):
    """``batch``, which exports to ``exporter`` in a thread of its own, without the spans that its
    queue has no room for."""

    def __init__(self, batch: SpanProcessor, exporter: CountingExporter) -> None:
        self._batch = batch
        self._waiting = exporter.waiting

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._batch.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        context = span.context
        if context is not None and context.trace_flags.sampled and self._waiting.enter():
            self._batch.on_end(span)

    def shutdown(self) -> None:
        self._batch.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batch.force_flush(timeout_millis)
