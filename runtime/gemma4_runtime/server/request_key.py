"""The key of a request: unique in this server, and what a cancel names.

Preprocessing draws it. gemma4_unary needs to know it before, so that it can cancel a call whose
client has left; it draws the key itself and sends it sealed, in a parameter. A client cannot choose
the key of its request, which could be that of another.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.messages import KEY_PARAMETER
from gemma4_runtime.server.seal import Kind, Sealer

__all__ = [
    "is_shared",
    "keys_of_call",
    "new_key",
    "refuse_key",
    "request_key",
    "same_call",
    "sealed_key",
]

_DOT = "."
"""Parts the key of a call from the number of one of its requests."""


def new_key() -> str:
    """Return 32 random hexadecimal digits."""
    return uuid.uuid4().hex


def keys_of_call(count: int) -> list[str]:
    """Return keys for the requests of one call; see :func:`same_call`."""
    key = new_key()
    return [key] if count == 1 else [f"{key}{_DOT}{number}" for number in range(count)]


def is_shared(key: str) -> bool:
    """Say whether the call of this request has others."""
    return _DOT in key


def same_call(one: str, other: str) -> bool:
    """Say whether two requests came in one call."""
    return one.partition(_DOT)[0] == other.partition(_DOT)[0]


def sealed_key(key: str, sealer: Sealer) -> str:
    """Return the value of :data:`~gemma4_runtime.messages.KEY_PARAMETER` for :func:`new_key`'s
    ``key``."""
    return sealer.seal(Kind.KEY, bytes.fromhex(key)).hex()


def refuse_key(parameters: Mapping[str, Any]) -> None:
    """Raise :class:`~gemma4_runtime.errors.RequestError` INVALID_ARGUMENT when a client that calls
    the engine step itself names a key, whatever it is."""
    if KEY_PARAMETER in parameters:
        raise invalid(Code.RESERVED_INPUT, *Kind.KEY.value)


def request_key(parameters: Mapping[str, Any], sealer: Sealer) -> str:
    """Return the key of a request with these parameters, a new one if none is given. Raises
    :class:`~gemma4_runtime.errors.RequestError` INVALID_ARGUMENT for one that was not sealed
    here."""
    given = parameters.get(KEY_PARAMETER)
    if given is None:
        return new_key()
    try:
        sealed = bytes.fromhex(given)
    except (TypeError, ValueError):
        sealed = b""
    return sealer.unseal(Kind.KEY, sealed).hex()
