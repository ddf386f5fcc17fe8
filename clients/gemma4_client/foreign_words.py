"""What Triton and gRPC say in words only.

Our models send a code with each error. These two do not, so their words must be read. This is the
only module that decides by the text of a message; a test keeps it so.
"""

from __future__ import annotations

import re

from gemma4_client.codes import ClientCode

__all__ = ["UNKNOWN_PROCESS", "is_too_large", "read_triton", "was_never_sent"]

UNKNOWN_PROCESS = "unknown"
"""The name of a dead process when the server did not give it."""

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
_PASSED_ON = re.compile(r"(?:engine step: )?(?:Failed for execute the inference request\. )?")
"""What comes before Triton's words when a model passes them on."""
_FIRST_WORDS = 120
"""Where a model passes words on, only their beginning is read: the rest may hold text of the
request."""
_NEVER_SENT = re.compile(
    r"failed to connect to all addresses|connections to all backends failing|empty address list"
    r"|(?:DNS|name) resolution fail",
    re.IGNORECASE,
)
"""How gRPC says that a call never had a connection. Whatever else ends a call as UNAVAILABLE
("Socket closed", "Connection reset by peer", GOAWAY, a ping without an answer) may have come after
the request was sent."""
_TOO_LARGE = "larger than max"
"""gRPC on a message beyond a limit of size, which has the status of a rate limit."""


def read_triton(text: str, *, passed_on: bool = False) -> tuple[ClientCode, str] | None:
    """SERVER_NOT_READY, or PROCESS_LOST with the name of the process; None for other words.
    ``passed_on``: by a model of ours."""
    if passed_on:
        start = _PASSED_ON.match(text)
        at = start.end() if start else 0
        text = text[at : at + _FIRST_WORDS]
    dead = _DEAD.search(text)
    if dead is not None:
        return ClientCode.PROCESS_LOST, dead["name"] or UNKNOWN_PROCESS
    if _NOT_YET.search(text):
        return ClientCode.SERVER_NOT_READY, ""
    return None


def was_never_sent(details: str) -> bool:
    """Whether gRPC's UNAVAILABLE with these details means that the call had no connection."""
    return _NEVER_SENT.search(details) is not None


def is_too_large(details: str) -> bool:
    """Whether gRPC's RESOURCE_EXHAUSTED with these details speaks of the size of a message."""
    return _TOO_LARGE in details
