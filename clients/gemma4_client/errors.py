"""One exception for each status that the server answers with; the message is the server's."""

from __future__ import annotations

import grpc
from gemma4_runtime.errors import Status, parse_wire

__all__ = [
    "CancelledError",
    "DeadlineExceededError",
    "Gemma4Error",
    "InvalidRequestError",
    "ServerError",
    "StreamOrderError",
    "UnavailableError",
    "from_rpc",
    "from_wire",
]


class Gemma4Error(Exception):
    """Base of all."""


class InvalidRequestError(Gemma4Error):
    """INVALID_ARGUMENT: the request is wrong; the message names the field."""


class UnavailableError(Gemma4Error):
    """UNAVAILABLE: overload, draining, or no connection; retry later."""


class DeadlineExceededError(Gemma4Error):
    """DEADLINE_EXCEEDED: the time allowed was not enough."""


class CancelledError(Gemma4Error):
    """CANCELLED."""


class ServerError(Gemma4Error):
    """INTERNAL: the engine or the server failed."""


class StreamOrderError(Gemma4Error):
    """A chunk is missing, doubled or out of order."""


_BY_STATUS: dict[Status, type[Gemma4Error]] = {
    Status.INVALID_ARGUMENT: InvalidRequestError,
    Status.UNAVAILABLE: UnavailableError,
    Status.DEADLINE_EXCEEDED: DeadlineExceededError,
    Status.CANCELLED: CancelledError,
    Status.INTERNAL: ServerError,
}


def from_wire(message: str) -> Gemma4Error:
    """The exception for an error text of the server."""
    error = parse_wire(message)
    return _BY_STATUS[error.status](error.message)


def from_rpc(error: grpc.RpcError) -> Gemma4Error:
    """The exception for a failed call."""
    code: str = error.code().name
    details: str = error.details() or code
    if code == "NOT_FOUND" or (code == "UNAVAILABLE" and "not ready" in details):
        return UnavailableError(f"the server has no model 'gemma4' yet: {details}")
    if code in Status.__members__:
        wire = parse_wire(details)
        message = wire.message if wire.message != details else details
        return _BY_STATUS[Status[code]](message)
    return ServerError(f"{code}: {details}")
