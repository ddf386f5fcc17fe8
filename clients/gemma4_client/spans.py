"""A span for each request of a client that was given a tracer of OpenTelemetry's.

The server's spans belong to it. Names and attributes are those of the semantic conventions for
generative AI; no text of a request or an answer is in them.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gemma4_runtime.trace_context import trace_context, trace_fields
from gemma4_runtime.tracing.attributes import PROVIDER, operation_of, option_attributes

from gemma4_client.address import Address
from gemma4_client.errors import CancelledError, Gemma4Error
from gemma4_client.request import Request
from gemma4_client.results import Delta

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["CallSpan", "CallSpans"]

_LEFT = (CancelledError, asyncio.CancelledError, GeneratorExit)
"""How a reader leaves; nothing is wrong then."""


class CallSpan:
    """The span of one request. :meth:`end` is safe again, and from any thread."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self._ended = Lock()

    def end(self, last: Delta | None, error: BaseException | None = None) -> None:
        """End the span of an answer whose last chunk so far is ``last``. Again: nothing."""
        if not self._ended.acquire(blocking=False):
            return
        span = self.span
        if span.is_recording():
            if last is not None:
                span.set_attribute("gen_ai.usage.input_tokens", last.prompt_tokens)
                span.set_attribute("gen_ai.usage.output_tokens", last.completion_tokens)
                if last.finish_reason:
                    span.set_attribute("gen_ai.response.finish_reasons", [last.finish_reason])
            if error is not None:
                self._failed(error)
        span.end()

    def _failed(self, error: BaseException) -> None:
        from opentelemetry.trace import StatusCode

        code = error.code if isinstance(error, Gemma4Error) else ""
        self.span.set_attribute("error.type", str(code) or type(error).__qualname__)
        if not isinstance(error, _LEFT):
            self.span.set_status(StatusCode.ERROR)


class CallSpans:
    """Of one client. ``tracer`` makes them; ``address`` is the server's."""

    def __init__(self, tracer: Tracer, address: Address) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._api = trace
        self._tracer = tracer
        self._extract = TraceContextTextMapPropagator().extract
        server = urlsplit(f"//{address.target}")
        self._server: dict[str, str | int] = {
            "server.address": server.hostname or "",
            "server.port": server.port or 0,
        }

    def start(self, request: Request) -> tuple[Request, CallSpan]:
        """Begin the span of ``request``, within the current one or the one that its headers name.
        Return the request with the new one as its context."""
        operation = operation_of(chat="messages" in request.inputs)
        parent = self._extract(trace_fields(request.trace)) if request.trace else None
        span = self._tracer.start_span(
            operation,
            context=parent,
            kind=self._api.SpanKind.CLIENT,
            attributes={  # numbers and names only
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": PROVIDER,
                "gemma4.request_id": request.request_id,
                **self._server,
                **option_attributes(request.inputs),
            },
        )
        made = span.get_span_context()
        ids = f"00-{made.trace_id:032x}-{made.span_id:016x}-{made.trace_flags:02x}"
        trace = trace_context(ids, made.trace_state.to_header())
        return replace(request, trace=trace or request.trace), CallSpan(span)
