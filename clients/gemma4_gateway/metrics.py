"""Prometheus metrics of one gateway."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from gemma4_runtime.tracing.bounded import SpanCounts

    from gemma4_gateway.backends.backend import Backend
    from gemma4_gateway.workers.metric_files import MetricFiles

__all__ = ["Metrics", "SharedMetrics", "TlsMetrics"]

_OTHER_KEYS = "other"
"""Stands for every key after the first so many that waited."""
_MOST_KEYS = 100
"""Names of keys that are told apart where each has many series."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

_Mode = Literal["livesum", "livemin", "livemax", "sum", "max"]
"""How the gauges of several workers are one: ``live...`` of those that live. A gauge of what
something else counts stays when its worker ends, as counters do, or it would fall."""


@dataclass(frozen=True, slots=True)
class TlsMetrics:
    """``not_after``: Unix seconds. ``reloads``: by ``result``, loaded or failed."""

    not_after: Gauge
    reloads: Counter


@dataclass(frozen=True, slots=True)
class SharedMetrics:
    """``up``: 1 while the limits are shared. ``errors``: by ``reason``. ``lost``: requests whose
    end was not told, for there were too many."""

    up: Gauge
    errors: Counter
    lost: Counter


class Metrics:
    """Names start with ``gemma4_gateway_``. ``key`` is the name of an API key, never the key.
    ``files``: of several workers; None: this process is all there is."""

    def __init__(self, files: MetricFiles | None = None) -> None:
        self.registry = CollectorRegistry()
        self._files = files
        self._told: dict[tuple[Gauge, tuple[str, ...]], float] = {}
        self._queued_keys: set[str] = set()
        self.requests = self._counter("requests", "Requests answered", "route", "status")
        self.duration = self._histogram("request_seconds", "Request to last byte", "route")
        self.ttft = self._histogram("ttft_seconds", "Request to first token", "route")
        self.prompt_tokens = self._counter("prompt_tokens", "Prompt tokens", "key")
        self.completion_tokens = self._counter("completion_tokens", "Generated tokens", "key")
        self.queue_seconds = self._histogram(
            "queue_seconds", "Wait for a place of a back end, of those that waited", "key"
        )
        self._waited: set[str] = set()
        self.queued = self._gauge("queued_requests", "Answers that wait for a place", "key")
        self.queued_tokens = self._gauge("queued_tokens", "Tokens that these will cost, estimated")
        self.limited = self._counter("limited", "Requests refused by own limits", "limit")
        self.disconnects = self._counter("disconnects", "Clients that left before the end")
        self.connections_cut = self._counter(
            "connections_cut", "Connections ended before they had a request", "reason"
        )
        self.retries = self._counter(
            "backend_refusals", "Requests that a back end did not take", "backend"
        )
        self.not_stored = self._counter(
            "responses_not_stored", "Responses that were answered but not stored"
        )
        self.running = self._gauge("running_requests", "Requests in flight")
        self.ready = self._gauge("backend_ready", "1: takes requests", "backend", mode="livemin")
        self.outstanding = self._gauge("backend_requests", "Requests in flight", "backend")
        self.ejections = self._gauge(
            "backend_ejections", "Times it went away", "backend", mode="max"
        )
        self.dns_addresses = self._gauge(
            "dns_addresses", "Found by the last answer", "name", mode="livemin"
        )
        self.dns_failures = self._gauge(
            "dns_failures", "Lookups without an answer", "name", mode="max"
        )
        self.uploads = self._gauge("uploads", "Bodies under way")
        self.held_bytes = self._gauge("held_bytes", "Bytes of bodies, under way or running")
        self.evicted_uploads = self._gauge(
            "evicted_uploads", "Bodies given up for others", mode="sum"
        )
        self.log_dropped = self._gauge(
            "log_lines_dropped", "Lines that could not be written", mode="sum"
        )
        self._spans: Gauge | None = None
        self.draining = self._gauge("draining", "1: the gateway is stopping", mode="livemax")

    def set_spans(self, counts: SpanCounts) -> None:
        """Set what became of spans; there is none where no traces are sent."""
        if self._spans is None:
            self._spans = self._gauge(
                "trace_spans", "Spans for the collector", "result", mode="sum"
            )
        for result, count in asdict(counts).items():
            self.tell(self._spans, count, result)

    def with_tls(self) -> TlsMetrics:
        """Add those of TLS, which are absent where there is none."""
        reloads = self._counter("tls_reloads", "Certificates read again", "result")
        for result in ("loaded", "failed"):
            reloads.labels(result)
        not_after = "tls_certificate_not_after_seconds"
        return TlsMetrics(
            self._gauge(
                not_after, "Unix time at which the served certificate ends", mode="livemin"
            ),
            reloads,
        )

    def with_shared_limits(self) -> SharedMetrics:
        """Add those of Redis, which are absent where there is none."""
        return SharedMetrics(
            self._gauge(
                "limits_shared", "1: the limits of keys are those of all gateways", mode="livemin"
            ),
            self._counter("limits_redis_errors", "Questions that Redis did not answer", "reason"),
            self._counter("limits_ends_lost", "Ends of requests that Redis was never told"),
        )

    def waited(self, key: str, seconds: float) -> None:
        """Note that an answer of ``key`` has waited for a place."""
        self.queue_seconds.labels(self._told_apart(key)).observe(seconds)

    def set_queued(self, waiting: Iterable[tuple[str, int, int]]) -> None:
        """Set who waits: key, answers and their tokens."""
        tokens, answers_of = 0, dict.fromkeys(self._queued_keys, 0)
        for key, answers, cost in waiting:
            shown = self._told_apart(key)
            answers_of[shown] = answers_of.get(shown, 0) + answers
            tokens += cost
        if self._files is None:
            self.queued.clear()
        else:  # a file keeps its labels
            self._queued_keys.update(answers_of)
        for shown, answers in answers_of.items():
            self.queued.labels(shown).set(answers)
        self.queued_tokens.set(tokens)

    def tell(self, gauge: Gauge, count: float, *labels: str) -> None:
        """Set a gauge to what something else has counted; that of a worker goes on where the one
        before it in its place ended."""
        one = gauge.labels(*labels) if labels else gauge
        one.inc(count - self._told.get((gauge, labels), 0.0))
        self._told[gauge, labels] = count

    def _told_apart(self, key: str) -> str:
        if key not in self._waited:
            if len(self._waited) >= _MOST_KEYS:
                return _OTHER_KEYS
            self._waited.add(key)
        return key

    def forget(self, backend: Backend) -> None:
        """Drop the labels of a back end that has gone for good, since each pod has its own."""
        self._told.pop((self.ejections, (backend.address,)), None)
        if self._files is not None:  # which cannot drop any; :meth:`render` leaves them out
            return
        for family in (self.ready, self.outstanding, self.ejections, self.retries):
            family.labels(backend.address)  # older versions of remove() want it to be there
            family.remove(backend.address)

    def render(self, backends: Collection[str] = ()) -> bytes:
        """Return the text exposition format. ``backends``: addresses of those that there are."""
        if self._files is not None:
            return self._files.render(backends)
        return generate_latest(self.registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"gemma4_gateway_{name}", help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str, mode: _Mode = "livesum") -> Gauge:
        return Gauge(
            f"gemma4_gateway_{name}", help_text, labels,
            registry=self.registry, multiprocess_mode=mode,
        )  # fmt: skip

    def _histogram(self, name: str, help_text: str, *labels: str) -> Histogram:
        return Histogram(
            f"gemma4_gateway_{name}", help_text, labels, registry=self.registry, buckets=_SECONDS
        )
