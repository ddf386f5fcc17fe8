"""One exception for each status that the server answers with; the message is the server's."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import grpc
from gemma4_runtime.errors import OVERLOADED, Status, parse_wire

__all__ = [
    "UNKNOWN_PROCESS",
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


UNKNOWN_PROCESS = "unknown"
"""In :attr:`UnavailableError.process` when the server did not name it."""


class Gemma4Error(Exception):
    """Base of all. ``status`` is gRPC's name of the status, on HTTP too."""

    status: ClassVar[str] = "UNKNOWN"


class InvalidRequestError(Gemma4Error):
    """INVALID_ARGUMENT: the request is wrong; the message names the field."""

    status = "INVALID_ARGUMENT"


class UnavailableError(Gemma4Error):
    """UNAVAILABLE: overload, draining, no connection, or one that broke.

    ``refused`` is True when the server provably never began the request: it answered so itself, or
    no connection to it was made. Such a request may be sent again, here or elsewhere. False when
    the connection broke after the request was sent, or a process of the server died: the server
    may have begun it, and it may be what the server died of. ``process`` names the dead process,
    where the server said so."""

    status = "UNAVAILABLE"

    def __init__(self, message: str, *, refused: bool = False, process: str = "") -> None:
        super().__init__(message)
        self.refused = refused
        self.process = process

    @property
    def overloaded(self) -> bool:
        """True when the server answered that its slots and its queue are full."""
        return OVERLOADED in str(self)


class CircuitOpenError(UnavailableError):
    """This client asked nothing: the server was unavailable too often just now. See
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
_NOT_YET = re.compile(
    r"unknown model|is not found|not ready|not at ready state|is stopping|stopped accepting"
    r"|exceeds maximum queue size",
    re.IGNORECASE,
)
"""How Triton itself says, without a status, that it starts, stops, is full, or has no such model.
It looks before it hands a request to a model, so the request was not begun."""
_DEAD = re.compile(r"Stub process(?: '(?P<name>[^']*)')? is (?:not |un)healthy")
"""Triton's Python backend on a process that has died or that hangs, said of the request that was
running there and of each one after it. So it does not tell whether this request was begun."""
_OURS = re.compile(r"(?:engine step: )?(?:Failed for execute the inference request\. )?")
"""What comes before Triton's words when our own model passes them on."""
_NEVER_SENT = re.compile(
    r"failed to connect to all addresses|connections to all backends failing|empty address list"
    r"|(?:DNS|name) resolution fail",
    re.IGNORECASE,
)
"""How gRPC says that a call never had a connection. Whatever else ends a call as UNAVAILABLE
("Socket closed", "Connection reset by peer", GOAWAY, a ping without an answer) may have come after
the request was sent."""
_BY_HTTP = {
    401: AccessDeniedError,
    403: AccessDeniedError,
    408: DeadlineExceededError,
    413: InvalidRequestError,
    504: DeadlineExceededError,
}


def _has_status(text: str) -> bool:
    """False for a text that another software wrote."""
    return parse_wire(text).message != text


def _of_triton(text: str) -> UnavailableError | None:
    """For Triton's own words about a model that cannot answer."""
    dead = _DEAD.search(text)
    if dead is not None:
        text = f"a process of the server has died: {text}"
        return UnavailableError(text, process=dead["name"] or UNKNOWN_PROCESS)
    if _NOT_YET.search(text):
        return UnavailableError(f"the server has no model ready to answer: {text}", refused=True)
    return None


def from_wire(message: str) -> Gemma4Error:
    """The exception for an error text of the server."""
    error = parse_wire(message)
    if error.status is Status.INTERNAL:
        # Where the text is ours, only its beginning: the rest may hold words of the request.
        start = _OURS.match(error.message)
        at = start.end() if start else 0
        words = error.message[at : at + 120] if _has_status(message) else error.message
        found = _of_triton(words)
        if found is not None:
            return found
    if error.status is Status.UNAVAILABLE:
        return UnavailableError(error.message, refused=True)
    return _BY_STATUS[error.status](error.message)


def from_rpc(error: grpc.RpcError) -> Gemma4Error:
    """The exception for a failed gRPC call."""
    code: str = error.code().name
    details: str = error.details() or code
    if _has_status(details):
        return from_wire(details)
    if code in ("UNAVAILABLE", "INTERNAL", "NOT_FOUND"):
        found = _of_triton(details)
        if found is not None:
            return found
    if code == "NOT_FOUND":
        text = f"the server has no model ready to answer: {details}"
        return UnavailableError(text, refused=True)
    if code == "UNAVAILABLE":
        return UnavailableError(details, refused=bool(_NEVER_SENT.search(details)))
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return AccessDeniedError(details)
    if code == "RESOURCE_EXHAUSTED":
        if "larger than max" in details:
            return InvalidRequestError(details)
        return UnavailableError(details, refused=True)
    if code in Status.__members__:
        return _BY_STATUS[Status[code]](details)
    return ServerError(f"{code}: {details}")


def from_http(code: int, message: str) -> Gemma4Error:
    """The exception for an HTTP answer ``code`` (not 200) whose error text is ``message``."""
    if _has_status(message):
        return from_wire(message)
    found = _of_triton(message)
    if found is not None:
        return found
    text = f"HTTP {code}: {message or 'no message'}"
    if code in (429, 502, 503):
        # A proxy answers 502 and 503 for a connection that broke behind it, too.
        return UnavailableError(text, refused=code == 429)
    return _BY_HTTP.get(code, ServerError)(text)
