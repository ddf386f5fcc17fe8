"""Errors in OpenAI's form: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gemma4_runtime.picklable import PicklableError

from gemma4_gateway.jsons import dumps
from gemma4_gateway.plain_text import clean

__all__ = [
    "UNSUPPORTED",
    "ApiError",
    "invalid",
    "not_found",
    "overloaded",
    "unavailable",
    "validation_error",
]

UNSUPPORTED = "unsupported_parameter"
"""The code of a parameter that other servers have and this one has not."""
_MOST_PARAM = 256
"""Characters of ``param``."""


class ApiError(PicklableError):
    """A request ends with this. ``message`` becomes one line without control characters, of
    bounded length. ``retry_after`` is seconds, for the header of that name. ``cause`` is the code
    of the back end's error that led to it, for the log; "" when there was none."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        cause: str = "",
    ) -> None:
        message = clean(message)
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = None if param is None else clean(param)[:_MOST_PARAM]
        self.code = code
        self.retry_after = retry_after
        self.cause = cause

    def body(self) -> dict[str, Any]:
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}

    def json(self) -> bytes:
        return dumps(self.body())

    def headers(self) -> dict[str, str]:
        found = {}
        if self.retry_after is not None:
            found["retry-after"] = str(max(1, round(self.retry_after)))
        if self.status == 401:
            found["www-authenticate"] = "Bearer"
        return found


def invalid(param: str, message: str, *, code: str | None = None) -> ApiError:
    """400 that names the parameter."""
    return ApiError(400, f"{param}: {message}", param=param, code=code)


def not_found(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """404."""
    return ApiError(404, message, param=param, code=code)


def overloaded(message: str, *, code: str, retry_after: float) -> ApiError:
    """429: own limits, or every back end is full."""
    return ApiError(429, message, kind="rate_limit_error", code=code, retry_after=retry_after)


def unavailable(
    message: str, *, code: str = "unavailable", retry_after: float = 1.0, cause: str = ""
) -> ApiError:
    """503: draining, or no back end is ready."""
    return ApiError(
        503, message, kind="server_error", code=code, retry_after=retry_after, cause=cause
    )


def validation_error(errors: Sequence[Any], *, at: str = "") -> ApiError:
    """400 for one of pydantic's errors: a list that is too long, else the first. ``at`` is the path
    of what was checked, when it is a part of the body."""
    first = next((error for error in errors if error["type"] == "too_long"), _apt(errors))
    place = first["loc"]
    if first["type"] == "too_long":
        lengths = first["ctx"]
        text = f"{lengths['actual_length']} items; at most {lengths['max_length']}"
        return invalid(_path(place, at), text)
    if first["type"] == UNSUPPORTED:
        name, reason = first["ctx"]["name"], first["ctx"]["reason"]
        return invalid(_path([*place, name], at), f"not supported: {reason}", code=UNSUPPORTED)
    if not place and not at:
        text = first["msg"].removeprefix("Value error, ")
        return ApiError(400, f"the body: {text}", code="invalid_body")
    param = _path(place, at)
    name = str(place[0]) if place else ""
    if first["type"] == "extra_forbidden":
        return invalid(param, "no such parameter", code="unknown_parameter")
    if first["type"] == "union_tag_not_found":
        return invalid(param, f"needs {first['ctx']['discriminator'].strip(chr(39))}")
    message = first["msg"].removeprefix("Value error, ")
    shown = _shown(first.get("input"))
    if first["type"] != "missing" and shown:
        message = f"{shown}: {message}"
    return invalid(param, message)


def _apt(errors: Sequence[Any]) -> Any:
    """Return the first error. Of a value that may be of several types it is one of the type that
    the value resembles: pydantic tells first that an object is none of the words."""
    first = errors[0]
    place = first["loc"]
    if place and "[" not in (member := str(place[-1])) and member not in _MEMBERS:
        return first
    for error in errors[1:]:
        same = len(error["loc"]) >= len(place) and error["loc"][: len(place) - 1] == place[:-1]
        if same and (len(error["loc"]) > len(place) or error["type"].startswith("union_tag")):
            return error
    return first


def _shown(value: Any) -> str:
    """Return a short value; "" for one that is long, or may be."""
    if not isinstance(value, str | int | float | None) or (
        isinstance(value, str) and len(value) > 98
    ):
        return ""
    shown = repr(value)
    return shown if len(shown) <= 100 else ""


def _path(place: Sequence[Any], at: str = "") -> str:
    """``messages[0].content``; pydantic's names of union members are left out."""
    text, before = "", ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not text or not _is_member(part, before):
            text += f".{part}" if text else str(part)
        before = str(part)
    return f"{at}.{text}" if at and text else at or text


_MEMBERS = {"str", "int", "none"}
_FORMS = {"text", "json_object", "json_schema"}


def _is_member(part: str, before: str) -> bool:
    """Say whether the part of a place is a type that the value might have, and no field."""
    if part[:1].isupper() or "[" in part or part in _MEMBERS or before.startswith("tagged-union"):
        return True
    return part in _FORMS and before in ("format", "response_format")
