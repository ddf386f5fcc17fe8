"""What passes between the models and the preparation process: msgpack in frames with a length."""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec

from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import SentError
from gemma4_runtime.trace_context import TraceContext

__all__ = [
    "SOCKET_NAME",
    "Answer",
    "Drop",
    "Frames",
    "Ping",
    "Pong",
    "Refused",
    "StartFailed",
    "Started",
    "Step",
    "Work",
    "frame",
    "read_asks",
    "read_replies",
]

SOCKET_NAME = "preparation"
"""Of the Unix socket, in the run folder."""

_LENGTH = struct.Struct("<I")


class Work(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Prepare a request ("request"), give the ids of a text or a chat ("tokens"), or say whether
    an answer keeps to its guide ("verdict").

    ``values`` are checked inputs by name (:func:`~gemma4_runtime.input.tensors.read_inputs`).
    ``arrival`` is seconds of :func:`time.monotonic`.
    """

    number: int
    kind: Literal["request", "tokens", "verdict"]
    values: dict[str, Any]
    request_id: str = ""
    key: str = ""
    arrival: float = 0.0
    trace: TraceContext | None = None


class Drop(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Nobody waits for ``number`` any more; there will be no answer."""

    number: int


class Ping(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The question whether the process is alive."""


class Answer(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """``data``: an encoded :class:`~gemma4_runtime.messages.GenerationRequest`, token ids, or
    what is wrong with an answer."""

    number: int
    data: bytes


class Refused(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """``number`` ended with an error."""

    number: int
    sent: SentError

    @classmethod
    def of(cls, number: int, error: RequestError) -> Refused:
        return cls(number, SentError.of(error))

    def error(self) -> RequestError:
        return self.sent.error()


class Step(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A child process says which input it works on now."""

    field: str


class Pong(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Alive."""


class Started(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The process listens."""


class StartFailed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """It cannot; ``cause`` is for the operator."""

    cause: str


Ask = Work | Drop | Ping
Reply = Answer | Refused | Step | Pong | Started | StartFailed

_encoder = msgspec.msgpack.Encoder()
_asks = msgspec.msgpack.Decoder(Ask)
_replies = msgspec.msgpack.Decoder(Reply)


def frame(message: Ask | Reply) -> bytes:
    data = _encoder.encode(message)
    return _LENGTH.pack(len(data)) + data


class Frames:
    """Cuts what was received into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def add(self, data: bytes) -> list[bytes]:
        """Add bytes and return the frames that are whole now."""
        self._buffer += data
        found, at = [], 0
        while len(self._buffer) - at >= _LENGTH.size:
            end = at + _LENGTH.size + _LENGTH.unpack_from(self._buffer, at)[0]
            if end > len(self._buffer):
                break
            found.append(bytes(self._buffer[at + _LENGTH.size : end]))
            at = end
        del self._buffer[:at]
        return found


def read_asks(frames: list[bytes]) -> list[Ask]:
    """Decode frames. Raises :class:`msgspec.DecodeError`."""
    return [_asks.decode(data) for data in frames]


def read_replies(frames: list[bytes]) -> list[Reply]:
    """Decode frames. Raises :class:`msgspec.DecodeError`."""
    return [_replies.decode(data) for data in frames]
