"""Errors a client can act on, and how they travel.

Triton's Python backend has no DEADLINE_EXCEEDED, its HTTP front end (2.51) answers every error
with 400, and a gRPC stream reports errors as bare text. So the status is the first word of the
message: ``UNAVAILABLE: 64 requests are queued ...``. An ensemble puts ``in ensemble 'gemma4', ``
before it. This module is the only one that writes or reads that form. Standard library only.
"""

from __future__ import annotations

import re
from enum import StrEnum

__all__ = [
    "OVERLOADED",
    "RequestError",
    "Status",
    "internal",
    "invalid",
    "overloaded",
    "parse_wire",
    "unavailable",
]

OVERLOADED = "which is all this server takes"
"""In every message of :func:`overloaded`: how a client tells a full server from one that stops."""


class Status(StrEnum):
    """What went wrong, in gRPC's names."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"


_WIRE = re.compile(r"(?:^|[\s,])(" + "|".join(s.value for s in Status) + r"): (.*)\Z", re.DOTALL)


_MAX_WIRE = 4000
"""Characters of a message on the wire; a longer one keeps its start and its end."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

_TRITON_CODES = {
    Status.INVALID_ARGUMENT: "INVALID_ARG",
    Status.DEADLINE_EXCEEDED: "CANCELLED",
}


class RequestError(Exception):
    """A request failed with a status and a message for the person who sent it.

    ``field`` is the name of the input at fault, where one is.
    """

    def __init__(self, status: Status, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field

    @property
    def triton_code(self) -> str:
        """Name of the nearest code of ``triton_python_backend_utils.TritonError``."""
        return _TRITON_CODES.get(self.status, self.status.value)

    def to_wire(self) -> str:
        """``STATUS: message``, the text that goes into a Triton error: encodable, without the
        control characters by which a part would be lost or a terminal be told things, and never
        long, however much of the input the message repeats."""
        text = f"{self.status.value}: {self.message}"
        if len(text) > _MAX_WIRE:
            text = f"{text[: _MAX_WIRE // 2]} ... {text[-_MAX_WIRE // 2 :]}"
        return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)


def invalid(field: str, message: str) -> RequestError:
    """INVALID_ARGUMENT for input ``field``; the message starts with the field's name."""
    return RequestError(Status.INVALID_ARGUMENT, f"{field}: {message}", field=field)


def unavailable(message: str) -> RequestError:
    """UNAVAILABLE: overload or draining; the caller may retry later."""
    return RequestError(Status.UNAVAILABLE, message)


def overloaded(busy: str, *, slots: int, max_queued: int) -> RequestError:
    """UNAVAILABLE: all slots run and the queue is full. ``busy`` says how many do what."""
    return unavailable(f"{busy}, {OVERLOADED} ({slots} slots, {max_queued} queued); retry later")


def internal(message: str) -> RequestError:
    """Make an INTERNAL error: the engine or this software failed."""
    return RequestError(Status.INTERNAL, message)


def parse_wire(text: str) -> RequestError:
    """Read the error back from a Triton message; text without a status is INTERNAL."""
    match = _WIRE.search(text)
    if match is None:
        return RequestError(Status.INTERNAL, text)
    return RequestError(Status(match.group(1)), match.group(2))
