"""Messages between the engine step and the worker process that holds TensorRT-LLM.

A frame is a 4-byte little-endian length and msgpack: one command, or a list of events.
"""

from __future__ import annotations

import struct

import msgspec

from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import SamplingParams, SentError, TopLogProbs

__all__ = [
    "LENGTH",
    "Cancel",
    "Close",
    "Command",
    "Drafted",
    "Event",
    "Failed",
    "Finished",
    "KvUse",
    "Lost",
    "Ready",
    "Start",
    "StartFailed",
    "Submit",
    "Tokens",
    "decode_command",
    "decode_events",
    "frame",
]  # fmt: skip

LENGTH = struct.Struct("<I")


class Start(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Load the engine folder. ``version`` is the manifest's; ``any_version`` lifts the check."""

    engine_dir: str
    version: str
    any_version: bool
    pad_id: int
    vocab_size: int


class Submit(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Generate. ``cache_salt``: use and leave cached prompts of the same salt only."""

    key: str
    input_ids: list[int]
    sampling: SamplingParams
    cache_salt: str | None = None


class Cancel(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Abort; the request still ends with Finished. Unknown keys are ignored."""

    key: str


class Close(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Abort everything, shut TensorRT-LLM down, exit."""


class Ready(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Loaded, by TensorRT-LLM ``version``."""

    version: str


class StartFailed(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Not loaded; the worker exits."""

    cause: str


class Tokens(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """New ids of a request; ``log_probs`` and ``top`` of the same length, or None."""

    key: str
    ids: list[int]
    log_probs: list[float] | None
    top: list[TopLogProbs] | None = None


class Finished(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """The request ended: "stop", "length" or "cancelled"."""

    key: str
    reason: str


class Failed(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """``key`` ended with an error."""

    key: str
    sent: SentError

    @classmethod
    def of(cls, key: str, error: RequestError) -> Failed:
        return cls(key, SentError.of(error))

    def error(self) -> RequestError:
        return self.sent.error()


class KvUse(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Blocks of the KV cache: in use, and all."""

    used: int
    total: int


class Drafted(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Of speculative decoding since the start: drafts, their tokens, and those that the model
    accepted. Each request with a draft in a step has one."""

    drafts: int
    tokens: int
    accepted: int


class Lost(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """TensorRT-LLM is gone; nothing follows."""

    cause: str


Command = Start | Submit | Cancel | Close
Event = Ready | StartFailed | Tokens | Finished | Failed | KvUse | Drafted | Lost

_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_events: msgspec.msgpack.Decoder[list[Event]] = msgspec.msgpack.Decoder(list[Event])


def frame(message: Command | list[Event]) -> bytes:
    """Return length and body of a frame."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def decode_command(body: bytes) -> Command:
    """Decode a command. Raises :class:`msgspec.DecodeError`."""
    return _commands.decode(body)


def decode_events(body: bytes) -> list[Event]:
    """Decode events. Raises :class:`msgspec.DecodeError`."""
    return _events.decode(body)
