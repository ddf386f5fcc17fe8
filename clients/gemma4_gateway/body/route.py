"""The route of a path that takes JSON."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.message import Message
from functools import partial
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from gemma4_gateway.body.strict_json import parse
from gemma4_gateway.errors import ApiError, validation_error
from gemma4_gateway.record import record_of
from gemma4_gateway.schemas.base import ApiModel

__all__ = ["JsonRoute", "validated"]

_MOST_SHOWN = 100
"""Bytes of a header in a message."""


class _Parsed(Request):
    """A request whose body has been parsed and validated: FastAPI takes a model as it is."""

    def __init__(self, request: Request, value: ApiModel) -> None:
        super().__init__(request.scope, request.receive)
        self._value = value

    async def body(self) -> bytes:
        return b"{}"

    async def json(self) -> Any:
        return self._value


class JsonRoute(APIRoute):
    """Reads and checks the body before FastAPI would, within bounds, and a large one beside the
    event loop. Errors are :class:`~gemma4_gateway.errors.ApiError`, one for each request, however
    much is wrong."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        assert self.body_field is not None
        model: type[ApiModel] = self.body_field.field_info.annotation  # type: ignore[assignment]

        async def checked(request: Request) -> Response:
            _check_headers(request)
            body = await request.body()
            record_of(request.scope).body_bytes = len(body)
            work = partial(validated, model, body)
            value = await request.app.state.gateway.off_loop.run(len(body), work)
            return await handle(_Parsed(request, value))

        return checked


def _check_headers(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ApiError(
            415,
            f"content-encoding {encoding[:_MOST_SHOWN]!r}: send the body as it is",
            code="unsupported_encoding",
        )
    given = request.headers.get("content-type", "")
    message = Message()
    message["content-type"] = given[:_MOST_SHOWN]
    subtype = message.get_content_subtype()
    json = subtype == "json" or subtype.endswith("+json")
    if not given or message.get_content_maintype() != "application" or not json:
        shown = given[:_MOST_SHOWN] or "missing"
        hint = f"content-type is {shown}; send application/json"
        raise ApiError(400, hint, code="invalid_json")


def validated(model: type[ApiModel], body: bytes) -> ApiModel:
    """Return the body as ``model``. Raises :class:`~gemma4_gateway.errors.ApiError`."""
    if not body.strip():
        raise ApiError(400, "the body is empty; send a JSON object", code="invalid_body")
    try:
        return model.model_validate(parse(body, model.most_nodes))
    except ValidationError as error:
        raise validation_error(error.errors(include_url=False)) from None
