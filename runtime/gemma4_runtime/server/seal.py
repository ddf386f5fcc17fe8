"""Requests that only preprocessing can make.

Triton lets a client call each step of an ensemble. What preprocessing has not looked at (ids beyond
the vocabulary, lengths beyond every limit) could end the engine's process; so it puts the board's
random word of this run before a request, and the engine step takes nothing else.
"""

from __future__ import annotations

import hmac

from gemma4_runtime.errors import invalid
from gemma4_runtime.messages import GenerationRequest, decode_request, encode

__all__ = ["seal", "unseal"]

_BYTES = 8


def seal(request: GenerationRequest, word: int) -> bytes:
    """For the engine step of the same server."""
    return word.to_bytes(_BYTES, "little") + encode(request)


def unseal(data: bytes, word: int) -> GenerationRequest:
    """Raises :class:`~gemma4_runtime.errors.RequestError` INVALID_ARGUMENT for another seal."""
    if not hmac.compare_digest(data[:_BYTES], word.to_bytes(_BYTES, "little")):
        raise invalid("request", "is what preprocessing makes; send text_input or messages instead")
    return decode_request(data[_BYTES:])
