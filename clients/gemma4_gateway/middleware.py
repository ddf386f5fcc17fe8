"""The outermost layer: request ids, keys, limits, sizes, log and metrics. Plain ASGI, since a
middleware with its own tasks would stand in the way of every chunk."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING

from gemma4_runtime.trace_context import TraceContext, trace_context
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gemma4_gateway.access_log import Log
from gemma4_gateway.answers.anthropic_errors import error_json
from gemma4_gateway.body.uploads import Uploads
from gemma4_gateway.errors import ApiError
from gemma4_gateway.keys import ANONYMOUS, KeyEntry, KeyRing
from gemma4_gateway.lifecycle import Lifecycle
from gemma4_gateway.limits import Gate
from gemma4_gateway.metrics import Metrics
from gemma4_gateway.record import LEFT, Record
from gemma4_gateway.spans import ServerSpans

if TYPE_CHECKING:
    from gemma4_gateway.shared.redis_limits import Lease, RedisLimits

__all__ = ["Middleware"]

_CLOSE = (b"connection", b"close")
_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}\Z")
_WHOLE = re.compile("[0-9]{1,4300}")
"""Digits that int() takes."""
_HEALTH = ("/health", "/ping")
_QUIET = (*_HEALTH, "/metrics")
_OPEN = (*_QUIET, "/version", "/docs", "/openapi.json", "/ui/")


class Middleware:
    """Around the application. ``ring`` may be replaced while it runs. ``shared``: limits of all
    gateways together, None: each has its own. ``client_certificates``: only
    those who have shown one may have more than /health. ``spans`` None: none are made."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        ring: KeyRing,
        gate: Gate,
        shared: RedisLimits | None = None,
        lifecycle: Lifecycle,
        metrics: Metrics,
        log: Log,
        uploads: Uploads,
        max_body: int,
        client_certificates: bool = False,
        spans: ServerSpans | None = None,
    ) -> None:
        self._app = app
        self.ring = ring
        self._gate = gate
        self._shared = shared
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._log = log
        self._uploads = uploads
        self._max_body = max_body
        self._client_certificates = client_certificates
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        record = Record(_request_id(headers), scope["method"], scope["path"], trace=_trace(headers))
        if record.method == "HEAD":  # uvicorn leaves out the body of what GET answers
            scope = {**scope, "method": "GET"}
        record.put_into(scope)
        span = None
        if self._spans is not None and not record.path.startswith(_QUIET):
            span = self._spans.begin(record, scope.get("scheme", "http"))
        id_headers = [(b"x-request-id", record.request_id.encode())]
        if record.anthropic:
            id_headers.append((b"request-id", record.request_id.encode()))

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *id_headers]
                if self._lifecycle.draining and _CLOSE not in message["headers"]:
                    message["headers"].append(_CLOSE)  # the connection ends with this answer
            await send(message)

        try:
            await self._pass(scope, headers, receive, tell, record)
        except ApiError as error:
            record.failed(error)
            await _send_error(error, record, tell)
        except ConnectionError as error:
            record.status, record.error = LEFT, str(error)
        except Exception as error:  # noqa: BLE001 - the last layer: a fault must not end the server
            record.error = f"{type(error).__name__}: {error}"
            record.status = record.status if record.status >= 400 else 500
        finally:
            self._note(record)
            if self._spans is not None and span is not None:
                self._spans.end(span, record)

    async def _pass(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send, record: Record
    ) -> None:
        if self._client_certificates and not record.path.startswith(_HEALTH):
            _check_certificate(scope)
        if record.path == "/" or record.path.startswith(_OPEN):
            await self._app(scope, receive, send)
            return
        record.key = self._authenticate(headers)
        if record.method != "POST" or not record.takes_body:
            await self._app(scope, receive, send)
            return
        self._lifecycle.check()
        self._check_length(headers)
        body = await self._uploads.read(receive)
        try:
            await self._run(scope, _Whole(body, receive), send, record)
        finally:
            self._uploads.release(len(body))

    async def _run(self, scope: Scope, body: _Whole, send: Send, record: Record) -> None:
        """Run the request, which takes its place only now that its body is here: a slow sender has
        none."""
        self._lifecycle.check()
        try:
            lease = await self._enter(record.key)
        except ApiError as error:
            self._metrics.limited.labels(error.code).inc()
            raise
        self._metrics.running.set(self._gate.running)
        try:
            await self._app(scope, body.receive, send)
        finally:
            tokens = record.prompt_tokens + record.completion_tokens
            self._gate.leave(record.key, tokens=tokens)
            if lease is not None and self._shared is not None:
                self._shared.leave(lease, tokens=tokens)
            self._metrics.running.set(self._gate.running)

    async def _enter(self, key: KeyEntry) -> Lease | None:
        """Enter by the limits of this gateway, then by those of all."""
        self._gate.enter(key)
        if self._shared is None:
            return None
        try:
            return await self._shared.enter(key)
        except BaseException:
            self._gate.undo(key)
            raise

    def _authenticate(self, headers: Headers) -> KeyEntry:
        if self.ring.open:
            return ANONYMOUS
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = [bearer if scheme.lower() == "bearer" else "", headers.get("x-api-key", "")]
        keys = [key.strip() for key in given if key.strip()]
        if not keys:
            raise ApiError(
                401, "no API key; send it as `Authorization: Bearer KEY` or `x-api-key: KEY`",
                kind="authentication_error", code="missing_api_key",
            )  # fmt: skip
        for key in keys:
            entry = self.ring.find(key)
            if entry is not None:
                return entry
        raise ApiError(
            401, "this API key is unknown", kind="authentication_error", code="invalid_api_key"
        )

    def _check_length(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if _WHOLE.fullmatch(length) and int(length) > self._max_body:
            raise ApiError(
                413, f"the body has {length} bytes; at most {self._max_body}", code="body_too_large"
            )

    def _note(self, record: Record) -> None:
        metrics = self._metrics
        metrics.requests.labels(record.route, str(record.status)).inc()
        if record.route != "other":
            metrics.duration.labels(record.route).observe(time.perf_counter() - record.started)
        if record.status == LEFT:
            metrics.disconnects.inc()
        if record.first_token is not None:
            metrics.ttft.labels(record.route).observe(record.first_token - record.started)
            metrics.prompt_tokens.labels(record.key.name).inc(record.prompt_tokens)
            metrics.completion_tokens.labels(record.key.name).inc(record.completion_tokens)
        if not record.path.startswith(_QUIET):
            self._log.request(record)


class _Whole:
    """``receive`` for a body that has been read: all of it, then what the connection brings."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def receive(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _check_certificate(scope: Scope) -> None:
    if scope.get("extensions", {}).get("tls", {}).get("client_cert_name") is None:
        raise ApiError(
            403, "this server wants a client certificate; connect with one",
            kind="authentication_error", code="missing_client_certificate",
        )  # fmt: skip


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _ID.match(given) else f"req_{uuid.uuid4().hex}"


def _trace(headers: Headers) -> TraceContext | None:
    """Return the client's trace. More than one ``traceparent`` is none; ``tracestate`` may come in
    parts."""
    parents = headers.getlist("traceparent")
    if len(parents) != 1:
        return None
    return trace_context(parents[0], ",".join(headers.getlist("tracestate")))


async def _send_error(error: ApiError, record: Record, send: Send) -> None:
    body = error_json(error, record)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers += [(k.encode(), v.encode()) for k, v in error.headers().items()]
    if error.status in (408, 413, 503):
        headers.append(_CLOSE)
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
