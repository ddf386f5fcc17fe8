"""From spans to a collector: a tracer of this process and a thread that sends what it makes.

Nothing of OpenTelemetry is imported unless the environment asks for spans.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

from gemma4_runtime.needs import install_extra
from gemma4_runtime.tracing.environment import TracingError, exporter_protocol, wants_traces
from gemma4_runtime.version import project_version

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Tracer

    from gemma4_runtime.tracing.bounded import SpanCounts

__all__ = ["SpanPipeline", "open_pipeline"]

_BATCH = 64
"""Spans that are sent together, where OTEL_BSP_MAX_EXPORT_BATCH_SIZE does not say it. The SDK's 512
would hold Python's lock for 5 ms at a time while they are encoded."""
_QUEUE = 2048
"""Spans that may wait, where OTEL_BSP_MAX_QUEUE_SIZE does not say it: the SDK's own."""
_CLOSE_S = 2.0
"""Seconds that the spans of the last requests have to leave. A collector that is down must not
hold up the end of a process; the SDK would wait 30 s."""
_UNNAMED = "unknown_service"


class SpanPipeline:
    """``tracer`` makes the spans of this process. ``counts`` says what became of them."""

    def __init__(self, service: str, env: Mapping[str, str]) -> None:
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from gemma4_runtime.tracing.bounded import BoundedProcessor, CountingExporter

        queue = _positive(env, "OTEL_BSP_MAX_QUEUE_SIZE", _QUEUE)
        batch = min(_positive(env, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", _BATCH), queue)
        exporter = CountingExporter(_exporter(exporter_protocol(env)), queue)
        processor = BatchSpanProcessor(exporter, max_queue_size=queue, max_export_batch_size=batch)
        self._provider = TracerProvider(
            resource=_resource(service),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attribute_length=1024),
        )
        self._provider.add_span_processor(BoundedProcessor(processor, exporter))
        self.tracer: Tracer = self._provider.get_tracer("gemma4", project_version())
        self.counts: SpanCounts = exporter.waiting.counts

    def close(self) -> None:
        """Send what waits, within two seconds."""
        end = Thread(target=self._provider.shutdown, name="spans-end", daemon=True)
        end.start()
        end.join(_CLOSE_S)


def open_pipeline(
    service: str,
    *,
    log: Callable[..., None],
    env: Mapping[str, str] = os.environ,
) -> SpanPipeline | None:
    """Return a pipeline for ``service``, or None where none is asked for. ``log`` gets an event and
    its fields: what is wrong with the environment is told there and is no reason not to serve."""
    try:
        if not wants_traces(env):
            return None
        pipeline = SpanPipeline(service, env)
    except ImportError as error:
        reason = f"{error}; {install_extra('otel')} installs it"
    except (TracingError, ValueError) as error:
        reason = str(error)
    else:
        log("tracing_on", service=service)
        return pipeline
    log("tracing_off", level="warning", reason=reason)
    return None


def _exporter(protocol: str) -> Any:
    """Return the exporter of OTLP by ``protocol``. It reads endpoint, headers and certificates."""
    package = "http" if protocol.startswith("http") else "grpc"
    try:
        module = import_module(f"opentelemetry.exporter.otlp.proto.{package}.trace_exporter")
    except ImportError:
        if package == "http":
            raise
        raise TracingError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: needs the package "
            "opentelemetry-exporter-otlp-proto-grpc; install it, or use http/protobuf"
        ) from None
    return module.OTLPSpanExporter()


def _resource(service: str) -> Resource:
    """Return what all spans say of this process: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES,
    and ``service`` where these name no service."""
    from opentelemetry.sdk.resources import Resource

    found = Resource.create({"service.version": project_version()})
    name = str(found.attributes.get("service.name", ""))
    return found.merge(Resource({"service.name": service})) if name.startswith(_UNNAMED) else found


def _positive(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) < 1:
        raise TracingError(f"{name}={text!r}: must be an integer >= 1, or unset")
    return int(text)
