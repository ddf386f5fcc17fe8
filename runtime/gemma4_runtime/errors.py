"""Errors a client can act on, and how they travel.

Triton's Python backend has no DEADLINE_EXCEEDED, its HTTP front end (2.51) answers every error
with 400, and a gRPC stream reports errors as bare text. So status, code and details are the
beginning of the message:

    INVALID_ARGUMENT: [prompt_too_long field="text_input" tokens=24001 limit=2047] text_input: ...

An ensemble puts ``in ensemble 'gemma4', `` before it. Text of a request comes only after the
bracket, or quoted as JSON inside it, so no request can choose its status or code. A client that
does not know codes sees the bracket as a part of the message. This module is the only one that
writes or reads that form. Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from gemma4_runtime.error_codes import Code, Status
from gemma4_runtime.picklable import PicklableError

__all__ = [
    "UNKNOWN_CODE",
    "Code",
    "Detail",
    "RequestError",
    "Status",
    "invalid",
    "overloaded",
    "parse_wire",
]

Detail = int | float | str
"""A value that goes with a code."""

UNKNOWN_CODE = "unknown"
"""Of an error that carries no code: another software wrote it, or an older server."""

_MAX_WIRE = 4000
"""Characters of a message on the wire; a longer one keeps its start and its end."""
_LEFT_OUT = " ... "
_MAX_QUOTED = 256
"""Characters of a detail on the wire; the rest is left out."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

_STATUS = re.compile(
    r"(?:in ensemble '[^']*', )*(" + "|".join(s.value for s in Status) + r"): (.*)\Z", re.DOTALL
)
_VALUE = r'(-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|"(?:[^"\\]|\\.)*")'
_DETAIL = re.compile(rf" ([a-z][a-z0-9_]*)={_VALUE}")
_CODE = re.compile(rf"\[([a-z][a-z0-9_]*)((?:{_DETAIL.pattern})*)\] ")

_TRITON_CODES = {
    Status.INVALID_ARGUMENT: "INVALID_ARG",
    Status.DEADLINE_EXCEEDED: "CANCELLED",
}


class RequestError(PicklableError):
    """A request failed with a status, a code for programs, and a message for the person who sent
    it.

    ``code`` is a :class:`~gemma4_runtime.error_codes.Code`, or any text when another version of
    this software sent it; then ``status`` must be given. ``field`` is the name of the input at
    fault, where one is. ``details`` are the values that the code speaks of.
    """

    def __init__(
        self,
        code: Code | str,
        message: str,
        *,
        status: Status | None = None,
        field: str | None = None,
        details: Mapping[str, Detail] | None = None,
    ) -> None:
        super().__init__(message)
        if status is None:
            assert isinstance(code, Code)
            status = code.status
        self.status = status
        self.code = str(code)
        self.message = message
        self.field = field
        self.details: dict[str, Detail] = dict(details or {})

    @property
    def triton_code(self) -> str:
        """Name of the nearest code of ``triton_python_backend_utils.TritonError``."""
        return _TRITON_CODES.get(self.status, self.status.value)

    def to_wire(self) -> str:
        """``STATUS: [code name=value ...] message``, the text that goes into a Triton error. It is
        encodable, has no control characters by which a part would be lost or a terminal be told
        things, and is never long, however much of the input the message repeats. An error that was
        read back has the same text again."""
        shown = _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], _short(self.message))
        shown = _short(shown)  # escapes are longer
        named = {} if self.field is None else {"field": self.field}
        details = "".join(f" {name}={_wire(v)}" for name, v in (named | self.details).items())
        return f"{self.status.value}: [{self.code}{details}] {shown}"


def _short(text: str) -> str:
    """Keep the start and the end of a text that is too long."""
    if len(text) <= _MAX_WIRE:
        return text
    half = (_MAX_WIRE - len(_LEFT_OUT)) // 2
    return text[:half] + _LEFT_OUT + text[-half:]


def _wire(value: Detail) -> str:
    """Write a number, or a JSON string of ASCII."""
    return json.dumps(value[:_MAX_QUOTED]) if isinstance(value, str) else str(value)


def invalid(code: Code, field: str, message: str, **details: Detail) -> RequestError:
    """INVALID_ARGUMENT for input ``field``; the message starts with the field's name."""
    assert code.status is Status.INVALID_ARGUMENT
    return RequestError(code, f"{field}: {message}", field=field, details=details)


def overloaded(busy: str, *, slots: int, max_queued: int) -> RequestError:
    """UNAVAILABLE: all slots run and the queue is full. ``busy`` says how many do what."""
    return RequestError(
        Code.QUEUE_FULL,
        f"{busy}, which is all this server takes ({slots} slots, {max_queued} queued); retry later",
        details={"slots": slots, "max_queued": max_queued},
    )


def parse_wire(text: str) -> RequestError | None:
    """Read the error back from a Triton message; None for the words of another software. A message
    without a code, which an older server sends, has :data:`UNKNOWN_CODE`."""
    found = _STATUS.match(text)
    if found is None:
        return None
    status, message = Status(found[1]), found[2]
    head = _CODE.match(message)
    if head is None:
        return RequestError(UNKNOWN_CODE, message, status=status)
    details: dict[str, Detail] = {
        name: json.loads(value) for name, value in _DETAIL.findall(head[2])
    }
    field = details.pop("field", None)
    return RequestError(
        head[1],
        message[head.end() :],
        status=status,
        field=None if field is None else str(field),
        details=details,
    )
