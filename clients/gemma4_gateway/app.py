"""The FastAPI application, and the ASGI application around it."""

from __future__ import annotations

import ssl
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gemma4_gateway.access_log import Log
from gemma4_gateway.answers.anthropic_errors import error_json
from gemma4_gateway.errors import ApiError, validation_error
from gemma4_gateway.gateway import Gateway
from gemma4_gateway.lifecycle import Lifecycle
from gemma4_gateway.middleware import Middleware
from gemma4_gateway.record import record_of
from gemma4_gateway.routes import (
    chat,
    compact,
    health,
    messages,
    models,
    pages,
    responses,
    stored_responses,
    tokenize,
)
from gemma4_gateway.settings import Settings

__all__ = ["create_app", "create_asgi", "openapi"]


_MODULES = (chat, responses, compact, stored_responses, messages, models, tokenize, health)
_ROUTES = [r for module in (*_MODULES, pages) for r in module.router.routes if isinstance(r, Route)]


class _Cors(CORSMiddleware):
    """A preflight that a drain meets has the end of its connection in its answer, as every other
    request has in the answer of :class:`Middleware`, which never sees a preflight."""

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["DELETE", "GET", "HEAD", "POST"],
            allow_headers=["*"],  # a preflight is told what it asks for
            expose_headers=["x-request-id", "request-id", "retry-after"],
        )
        self._lifecycle = lifecycle

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if self._lifecycle.draining:
            response.headers["connection"] = "close"
        return response


class _App(FastAPI):
    """Its document leaves out FastAPI's 422 of a request that does not fit: it is 400 here."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            made = super().openapi()
            for operations in made["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
            for name in ("HTTPValidationError", "ValidationError"):
                made["components"]["schemas"].pop(name, None)
        return super().openapi()


def create_app(gateway: Gateway) -> FastAPI:
    """Make routes and error handlers. Keys and limits are checked before, in
    :mod:`gemma4_gateway.middleware`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await gateway.start()
        try:
            yield
        finally:
            await gateway.stop()

    app = _App(
        title="Gemma 4 gateway",
        version="1",
        description="OpenAI's and Anthropic's API in front of Triton servers that serve Gemma 4.",
        lifespan=lifespan,
        # FastAPI's own sees none of what the middleware refuses, and writes what clients sent.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        docs_url=None,  # these two load their files from the internet
        redoc_url=None,
        redirect_slashes=False,  # a client behind a proxy would be sent to another scheme and host
    )
    app.state.gateway = gateway
    for module in _MODULES:
        app.include_router(module.router)
    pages.add_pages(app, webui=gateway.settings.webui)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_fault)
    return app


def create_asgi(gateway: Gateway, app: FastAPI | None = None) -> ASGIApp:
    """Make what the server runs: the application behind keys, limits and CORS."""
    settings: Settings = gateway.settings
    middleware: ASGIApp = Middleware(
        app or create_app(gateway),
        ring=gateway.ring,
        gate=gateway.gate,
        shared=gateway.shared,
        lifecycle=gateway.lifecycle,
        metrics=gateway.metrics,
        log=gateway.log,
        uploads=gateway.uploads,
        max_body=settings.limits.max_body,
        spans=gateway.spans,
        client_certificates=bool(settings.tls and settings.tls.cert_reqs == ssl.CERT_OPTIONAL),
    )
    if settings.cors_origins:
        middleware = _Cors(middleware, gateway.lifecycle, settings.cors_origins)
    return middleware


def _respond(request: Request, error: ApiError) -> Response:
    record = record_of(request.scope)
    record.failed(error)
    return Response(error_json(error, record), error.status, error.headers(), "application/json")


async def _on_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _respond(request, error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _respond(request, validation_error(error.errors()))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = f"{request.method} {request.url.path}"
    message: Any = {
        404: f"{path}: there is no such path; {_meant(request.url.path)}see /docs",
        405: f"{path}: this path does not take {request.method}; see /docs",
    }.get(error.status_code, str(error.detail))
    codes = {404: "unknown_url", 405: "method_not_allowed"}
    response = _respond(
        request, ApiError(error.status_code, message, code=codes.get(error.status_code))
    )
    response.headers.update(error.headers or {})
    if error.status_code == 405 and (methods := _methods(request.url.path)):
        response.headers["allow"] = ", ".join(methods)
    return response


def _meant(path: str) -> str:
    """Return the words that name a path which ends as this one does: a base URL without /v1, or
    with it twice, or of another server."""
    asked = f"/{path.strip('/')}"
    ends = {r.path: f"/{r.path.removeprefix('/v1/').strip('/')}" for r in _ROUTES if r.path != "/"}
    found = [known for known, end in ends.items() if known != path and asked.endswith(end)]
    return f"did you mean {max(found, key=len)}? Or " if found else ""


def _methods(path: str) -> list[str]:
    """Return the methods that a path takes. Starlette names those of one route alone."""
    matching = [route for route in _ROUTES if route.path_regex.match(path)]
    taken = {m for route in matching if route.path == matching[0].path for m in route.methods or ()}
    return sorted(taken | {"HEAD"} if "GET" in taken else taken)


async def _on_fault(request: Request, error: Exception) -> Response:
    """Answer a fault of this software: the client hears that, the log hears what."""
    gateway: Gateway = request.app.state.gateway
    gateway.log.event(
        "fault", level="error", request_id=record_of(request.scope).request_id,
        error="".join(traceback.format_exception(error)),
    )  # fmt: skip
    text = "the gateway failed; its log says how, under this x-request-id"
    return _respond(request, ApiError(500, text, kind="server_error", code="gateway_error"))


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document, without a server."""
    return create_app(Gateway(Settings(), Log("json"))).openapi()
