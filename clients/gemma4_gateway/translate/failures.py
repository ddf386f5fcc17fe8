"""Errors of a back end -> errors of the API. One table says which becomes which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gemma4_client import Gemma4Error, InvalidRequestError, UnavailableError
from gemma4_client.errors import Code
from gemma4_runtime.errors import Status

from gemma4_gateway.errors import ApiError
from gemma4_gateway.plain_text import without_paths
from gemma4_gateway.translate.fields import parameter_of

__all__ = [
    "Form",
    "engine_refusal",
    "failure",
    "form_of",
    "lost",
    "none_took",
    "started_failure",
    "unsendable",
]


@dataclass(frozen=True, slots=True)
class Form:
    """HTTP status, OpenAI's ``type`` and ``code``, and seconds for the header Retry-After."""

    status: int
    kind: str
    code: str | None
    retry_after: float | None = None


_BY_CODE: dict[str, Form] = {
    Code.PROMPT_TOO_LONG: Form(400, "invalid_request_error", "context_length_exceeded"),
    Code.QUEUE_FULL: Form(429, "rate_limit_error", "overloaded", 1.0),
}
"""Where OpenAI's API says more than the status does."""
_FAILED = Form(500, "server_error", "engine_error")
_BY_STATUS: dict[str, Form] = {
    Status.INVALID_ARGUMENT: Form(400, "invalid_request_error", None),
    Status.UNAVAILABLE: Form(503, "server_error", "unavailable", 1.0),
    Status.DEADLINE_EXCEEDED: Form(504, "timeout_error", "timeout"),
    Status.CANCELLED: Form(499, "server_error", "cancelled"),
    Status.INTERNAL: _FAILED,
}
_LOST = Form(503, "server_error", "backend_lost", 1.0)
"""Of a back end that was unavailable only after it may have begun the request."""


def form_of(code: str, status: str) -> Form:
    """Return what an error with this code and status of the back end becomes."""
    return _BY_CODE.get(code) or _BY_STATUS.get(status, _FAILED)


def _api_error(
    error: Gemma4Error, message: str, *, form: Form | None = None, param: str | None = None
) -> ApiError:
    form = form_of(error.code, error.status) if form is None else form
    return ApiError(
        form.status,
        message,
        kind=form.kind,
        param=param,
        code=form.code,
        retry_after=form.retry_after,
        cause=error.code,
    )


def failure(error: Gemma4Error, names: Mapping[str, str]) -> ApiError:
    """Make the error of a request that no other back end would do better. ``names``: fields of
    the engine -> parameters."""
    if isinstance(error, InvalidRequestError):
        return engine_refusal(error, names)
    return started_failure(error)


def engine_refusal(error: InvalidRequestError, names: Mapping[str, str]) -> ApiError:
    """Make 400 of the engine's refusal of an input, with the name of the parameter. ``names`` come
    before the usual ones."""
    message = str(error)
    if error.field is None:
        return _api_error(error, message)
    param = parameter_of(error.field, names)
    return _api_error(error, f"{param}: {message.removeprefix(f'{error.field}: ')}", param=param)


def started_failure(error: Gemma4Error) -> ApiError:
    """Make the error of an answer that has begun. What the engine refuses now is not the fault of
    the client."""
    form = _FAILED if isinstance(error, InvalidRequestError) else None
    text = without_paths(str(error))
    if error.status == Status.DEADLINE_EXCEEDED:
        text = f"the time allowed was not enough: {error}"
    elif error.status == Status.CANCELLED:
        text = "cancelled"
    elif isinstance(error, UnavailableError):
        text = f"the back end was lost: {text}"
        form = _LOST
    return _api_error(error, text, form=form)


def none_took(error: UnavailableError) -> ApiError:
    """Make the error of a request that every back end has refused; ``error`` is what one of them
    said."""
    if error.overloaded:
        return _api_error(error, f"every back end is full: {error}")
    return _api_error(error, f"no back end could take the request: {without_paths(str(error))}")


def lost(error: UnavailableError) -> ApiError:
    """Make the error of a request that a back end may have begun, or died of."""
    text = "the back end was lost; it may have begun the request, so no other one was asked"
    return _api_error(error, f"{text}: {without_paths(str(error))}", form=_LOST)


def unsendable(error: ValueError) -> ApiError:
    """Make 400 for what the client package cannot put into a request."""
    if isinstance(error, UnicodeError):
        return ApiError(400, "the request contains a lone surrogate such as \\ud800; remove it")
    return ApiError(400, f"the request cannot be sent to the engine: {error}")
