"""Messages that only a step of this server can make.

Triton lets a client call each step of an ensemble. What preprocessing has not looked at (ids beyond
the vocabulary, lengths beyond every limit) could end the engine's process, and a forged chunk could
cancel another client's request. So every message between the steps carries a tag: a keyed BLAKE2b
hash of the whole message and of what kind it is. The key is random, of this run, lies on the
status board and never leaves the server, so that nothing a client has seen helps it make another
message. A message that was made here can be sent again by a client that got it; it says only what
its own request has said before.
"""

from __future__ import annotations

import hmac
from enum import Enum
from hashlib import blake2b

from gemma4_runtime.errors import Code, invalid

__all__ = ["KEY_BYTES", "Kind", "Sealer"]

KEY_BYTES = 32
"""Random bytes of the key."""
_TAG_BYTES = 16
"""Bytes of the hash before each message."""


class Kind(Enum):
    """Of a message: the input that carries it, and what a client is told that sends its own."""

    REQUEST = ("request", "is what preprocessing makes; send text_input or messages instead")
    CHUNK = ("chunk", "is what the engine step makes; call gemma4 instead")
    KEY = ("gemma4_key", "is a parameter of this server's own calls; leave it out")


class Sealer:
    """Puts tags before messages and checks them. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        """``key``: :data:`KEY_BYTES` random bytes."""
        self._started = {
            kind: blake2b(key=key, digest_size=_TAG_BYTES, person=kind.value[0].encode())
            for kind in Kind
        }

    def seal(self, kind: Kind, message: bytes) -> bytes:
        """Return the tag, 16 bytes, and the message."""
        return self._tag(kind, message) + message

    def unseal(self, kind: Kind, sealed: bytes) -> memoryview:
        """Return the message. Raises :class:`~gemma4_runtime.errors.RequestError` INVALID_ARGUMENT
        for one that was not sealed with this key as this kind."""
        message = memoryview(sealed)[_TAG_BYTES:]
        if not hmac.compare_digest(sealed[:_TAG_BYTES], self._tag(kind, message)):
            raise invalid(Code.RESERVED_INPUT, *kind.value)
        return message

    def _tag(self, kind: Kind, message: bytes | memoryview) -> bytes:
        state = self._started[kind].copy()
        state.update(message)
        return state.digest()
