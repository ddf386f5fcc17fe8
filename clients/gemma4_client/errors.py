"""One exception for each status that the server answers with. The message and the code are the
server's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import grpc
from gemma4_runtime.errors import Code, Detail, RequestError, Status, parse_wire
from gemma4_runtime.picklable import PicklableError

from gemma4_client.codes import ClientCode
from gemma4_client.foreign_words import UNKNOWN_PROCESS, is_too_large, read_triton, was_never_sent

__all__ = [
    "UNKNOWN_PROCESS",
    "AccessDeniedError",
    "CancelledError",
    "CircuitOpenError",
    "ClientCode",
    "Code",
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


class Gemma4Error(PicklableError):
    """Base of all. ``status`` is gRPC's name of the status, on HTTP too.

    ``code`` says exactly what went wrong, and keeps its meaning between versions, which the message
    need not. It is one of the server's codes or one of the client's; docs/errors.md lists them.
    Treat one that you do not know by its ``status``. ``field`` is the name of the input at fault,
    where one is. ``details`` are the values that the code speaks of, such as ``tokens`` and
    ``limit`` of ``prompt_too_long``."""

    status: ClassVar[str] = "UNKNOWN"
    code: str = ClientCode.UNKNOWN
    field: str | None
    details: dict[str, Detail]

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        field: str | None = None,
        details: Mapping[str, Detail] | None = None,
    ) -> None:
        super().__init__(message)
        if code:
            self.code = code
        self.field = field
        self.details = dict(details or {})


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

    def __init__(
        self,
        message: str,
        *,
        refused: bool = False,
        process: str = "",
        code: str = "",
        details: Mapping[str, Detail] | None = None,
    ) -> None:
        """Without ``code``, it is one of a connection that failed or broke."""
        usual = ClientCode.CONNECTION_FAILED if refused else ClientCode.CONNECTION_LOST
        super().__init__(message, code=code or usual, details=details)
        self.refused = refused
        self.process = process

    @property
    def overloaded(self) -> bool:
        """True when the server answered that its slots and its queue are full."""
        return self.code == Code.QUEUE_FULL


class CircuitOpenError(UnavailableError):
    """The client asked nothing: the server was unavailable too often just now. See
    :class:`gemma4_client.CircuitBreaker`."""

    def __init__(self, message: str) -> None:
        super().__init__(message, refused=True, code=ClientCode.CIRCUIT_OPEN)


class DeadlineExceededError(Gemma4Error):
    """DEADLINE_EXCEEDED: the time allowed was not enough."""

    status = "DEADLINE_EXCEEDED"
    code = Code.DEADLINE_EXCEEDED


class CancelledError(Gemma4Error):
    """CANCELLED: by this client, or by the server."""

    status = "CANCELLED"
    code = Code.CLIENT_CANCELLED


class AccessDeniedError(Gemma4Error):
    """UNAUTHENTICATED or PERMISSION_DENIED: what stands before the server wants other headers or
    another certificate."""

    status = "PERMISSION_DENIED"
    code = ClientCode.ACCESS_DENIED


class ServerError(Gemma4Error):
    """INTERNAL: the engine or the server failed."""

    status = "INTERNAL"
    code = ClientCode.UNREADABLE_ANSWER


class StreamOrderError(Gemma4Error):
    """A chunk is missing, doubled or out of order, or the last never came."""

    status = "DATA_LOSS"
    code = ClientCode.STREAM_BROKEN


class ResponseFormatError(Gemma4Error):
    """The answer is whole but is not what ``response_model`` asks for; mostly ``max_tokens`` cut it
    off. ``answer`` is the :class:`Answer`."""

    status = "OUT_OF_RANGE"
    code = ClientCode.RESPONSE_FORMAT

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

_BY_HTTP: dict[int, tuple[type[Gemma4Error], str]] = {
    401: (AccessDeniedError, ClientCode.ACCESS_DENIED),
    403: (AccessDeniedError, ClientCode.ACCESS_DENIED),
    408: (DeadlineExceededError, Code.DEADLINE_EXCEEDED),
    413: (InvalidRequestError, ClientCode.MESSAGE_TOO_LARGE),
    504: (DeadlineExceededError, Code.DEADLINE_EXCEEDED),
}


def _of_triton(text: str, *, passed_on: bool = False) -> UnavailableError | None:
    """For Triton's own words about a model that cannot answer."""
    found = read_triton(text, passed_on=passed_on)
    if found is None:
        return None
    code, process = found
    if code is ClientCode.PROCESS_LOST:
        text = f"a process of the server has died: {text}"
        return UnavailableError(text, process=process, code=code)
    text = f"the server has no model ready to answer: {text}"
    return UnavailableError(text, refused=True, code=code)


def _of_server(error: RequestError) -> Gemma4Error:
    """For an error that one of our models sent."""
    if error.status is Status.INTERNAL and error.code in (Code.TRITON_FAILED, ClientCode.UNKNOWN):
        found = _of_triton(error.message, passed_on=True)
        if found is not None:
            return found
    if error.status is Status.UNAVAILABLE:
        return UnavailableError(error.message, refused=True, code=error.code, details=error.details)
    return _BY_STATUS[error.status](
        error.message, code=error.code, field=error.field, details=error.details
    )


def from_wire(message: str) -> Gemma4Error:
    """Return the exception for an error text of the server."""
    ours = parse_wire(message)
    if ours is not None:
        return _of_server(ours)
    return _of_triton(message) or ServerError(message, code=ClientCode.UNKNOWN)


def from_rpc(error: grpc.RpcError) -> Gemma4Error:
    """Return the exception for a failed gRPC call."""
    status: str = error.code().name
    details: str = error.details() or status
    ours = parse_wire(details)
    if ours is not None:
        return _of_server(ours)
    if status in ("UNAVAILABLE", "INTERNAL", "NOT_FOUND"):
        found = _of_triton(details)
        if found is not None:
            return found
    if status == "NOT_FOUND":
        text = f"the server has no model ready to answer: {details}"
        return UnavailableError(text, refused=True, code=ClientCode.SERVER_NOT_READY)
    if status == "UNAVAILABLE":
        return UnavailableError(details, refused=was_never_sent(details))
    if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return AccessDeniedError(details)
    if status == "RESOURCE_EXHAUSTED":
        if is_too_large(details):
            return InvalidRequestError(details, code=ClientCode.MESSAGE_TOO_LARGE)
        return UnavailableError(details, refused=True, code=ClientCode.RATE_LIMITED)
    if status == "DEADLINE_EXCEEDED":
        return DeadlineExceededError(details)
    if status == "CANCELLED":
        return CancelledError(details)
    if status in Status.__members__:
        return _BY_STATUS[Status[status]](details, code=ClientCode.UNKNOWN)
    return ServerError(f"{status}: {details}", code=ClientCode.UNKNOWN)


def from_http(status: int, message: str) -> Gemma4Error:
    """Return the exception for an HTTP answer ``status`` (not 200) with the error text
    ``message``."""
    ours = parse_wire(message)
    if ours is not None:
        return _of_server(ours)
    found = _of_triton(message)
    if found is not None:
        return found
    text = f"HTTP {status}: {message or 'no message'}"
    if status == 429:
        return UnavailableError(text, refused=True, code=ClientCode.RATE_LIMITED)
    if status in (502, 503):
        # A proxy answers these for a connection that broke behind it, too.
        return UnavailableError(text)
    kind, code = _BY_HTTP.get(status, (ServerError, ClientCode.UNKNOWN))
    return kind(text, code=code)
