"""One exception for each status that the server answers with; the message is the server's."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import grpc
from gemma4_runtime.errors import OVERLOADED, Status, parse_wire

__all__ = [
    "AccessDeniedError",
    "CancelledError",
    "CircuitOpenError",
    "DeadlineExceededError",
    "Gemma4Error",
    "InvalidRequestError",
    "ResponseFormatError",
    "ServerError",
    "StreamOrderError",
    "UnavailableError",
    "from_http",
    "from_rpc",
    "from_wire",
]


class Gemma4Error(Exception):
    """Base of all. ``status`` is gRPC's name of the status, on HTTP too."""

    status: ClassVar[str] = "UNKNOWN"


class InvalidRequestError(Gemma4Error):
    """INVALID_ARGUMENT: the request is wrong; the message names the field."""

    status = "INVALID_ARGUMENT"


class UnavailableError(Gemma4Error):
    """UNAVAILABLE: overload, draining, or no connection; retry later."""

    status = "UNAVAILABLE"

    @property
    def overloaded(self) -> bool:
        """True when the server answered that its slots and its queue are full."""
        return OVERLOADED in str(self)


class CircuitOpenError(UnavailableError):
    """This client asked nothing: the server refused too often just now. See
    :class:`gemma4_client.CircuitBreaker`."""


class DeadlineExceededError(Gemma4Error):
    """DEADLINE_EXCEEDED: the time allowed was not enough."""

    status = "DEADLINE_EXCEEDED"


class CancelledError(Gemma4Error):
    """CANCELLED: by this client, or by the server."""

    status = "CANCELLED"


class AccessDeniedError(Gemma4Error):
    """UNAUTHENTICATED or PERMISSION_DENIED: what stands before the server wants other headers or
    another certificate."""

    status = "PERMISSION_DENIED"


class ServerError(Gemma4Error):
    """INTERNAL: the engine or the server failed."""

    status = "INTERNAL"


class StreamOrderError(Gemma4Error):
    """A chunk is missing, doubled or out of order, or the last never came."""

    status = "DATA_LOSS"


class ResponseFormatError(Gemma4Error):
    """The answer is whole but is not what ``response_model`` asks for; mostly ``max_tokens`` cut it
    off. ``answer`` is the :class:`Answer`."""

    status = "OUT_OF_RANGE"

    def __init__(self, message: str, answer: Any) -> None:
        super().__init__(message)
        self.answer = answer


_BY_STATUS: dict[Status, type[Gemma4Error]] = {
    Status.INVALID_ARGUMENT: InvalidRequestError,
    Status.UNAVAILABLE: UnavailableError,
    Status.DEADLINE_EXCEEDED: DeadlineExceededError,
    Status.CANCELLED: CancelledError,
    Status.INTERNAL: ServerError,
}
_NOT_YET = re.compile(r"unknown model|is not found|not ready|is stopping|stopped accepting")
"""How Triton itself says that it starts, stops, or has no such model; without a status."""
_BY_HTTP = {
    401: AccessDeniedError,
    403: AccessDeniedError,
    408: DeadlineExceededError,
    413: InvalidRequestError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: DeadlineExceededError,
}


def _has_status(text: str) -> bool:
    """False for a text that another software wrote."""
    return parse_wire(text).message != text


def from_wire(message: str) -> Gemma4Error:
    """The exception for an error text of the server."""
    if not _has_status(message) and _NOT_YET.search(message):
        return UnavailableError(f"the server has no model ready to answer: {message}")
    error = parse_wire(message)
    return _BY_STATUS[error.status](error.message)


def from_rpc(error: grpc.RpcError) -> Gemma4Error:
    """The exception for a failed gRPC call."""
    code: str = error.code().name
    details: str = error.details() or code
    if _has_status(details):
        return from_wire(details)
    if code == "NOT_FOUND" or (code == "UNAVAILABLE" and _NOT_YET.search(details)):
        return UnavailableError(f"the server has no model ready to answer: {details}")
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return AccessDeniedError(details)
    if code == "RESOURCE_EXHAUSTED":
        return (InvalidRequestError if "larger than max" in details else UnavailableError)(details)
    if code in Status.__members__:
        return _BY_STATUS[Status[code]](details)
    return ServerError(f"{code}: {details}")


def from_http(code: int, message: str) -> Gemma4Error:
    """The exception for an HTTP answer ``code`` (not 200) whose error text is ``message``."""
    if _has_status(message) or _NOT_YET.search(message):
        return from_wire(message)
    text = f"HTTP {code}: {message or 'no message'}"
    return _BY_HTTP.get(code, ServerError)(text)
