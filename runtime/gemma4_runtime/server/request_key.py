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

__all__ = ["new_key", "refuse_key", "request_key", "sealed_key"]


def new_key() -> str:
    """Return 32 random hexadecimal digits."""
    return uuid.uuid4().hex


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
