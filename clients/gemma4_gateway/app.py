"""The FastAPI application, and the ASGI application around it."""

from __future__ import annotations

import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from gemma4_gateway.access_log import Log
from gemma4_gateway.answers.anthropic_errors import error_json
from gemma4_gateway.errors import ApiError, validation_error
from gemma4_gateway.gateway import Gateway
from gemma4_gateway.middleware import Middleware
from gemma4_gateway.record import record_of
from gemma4_gateway.routes import (
    chat,
    compact,
    health,
    messages,
    models,
    responses,
    stored_responses,
    tokenize,
)
from gemma4_gateway.routes.pages import add_pages
from gemma4_gateway.settings import Settings

__all__ = ["create_app", "create_asgi", "openapi"]


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

    app = FastAPI(
        title="Gemma 4 gateway",
        version="1",
        description="OpenAI's and Anthropic's API in front of Triton servers that serve Gemma 4.",
        lifespan=lifespan,
        # FastAPI's own sees none of what the middleware refuses, and writes what clients sent.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        docs_url=None,  # these two load their files from the internet
        redoc_url=None,
    )
    app.state.gateway = gateway
    for module in (chat, responses, compact, stored_responses, messages, models, tokenize, health):
        app.include_router(module.router)
    add_pages(app, webui=gateway.settings.webui)
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
        middleware = CORSMiddleware(
            middleware,
            allow_origins=settings.cors_origins,
            allow_methods=["DELETE", "GET", "HEAD", "POST"],
            allow_headers=["*"],  # a preflight is told what it asks for
            expose_headers=["x-request-id", "request-id", "retry-after"],
        )
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
        404: f"{path}: there is no such path; see /docs",
        405: f"{path}: this path does not take {request.method}; see /docs",
    }.get(error.status_code, str(error.detail))
    codes = {404: "unknown_url", 405: "method_not_allowed"}
    response = _respond(
        request, ApiError(error.status_code, message, code=codes.get(error.status_code))
    )
    response.headers.update(error.headers or {})
    return response


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
