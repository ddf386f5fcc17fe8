"""How long a client wants to wait for its answer."""

from __future__ import annotations

import math

from starlette.datastructures import Headers

from gemma4_gateway.errors import invalid

__all__ = ["HEADER", "allowed_seconds"]

HEADER = "x-request-timeout"
"""Name of the header; its value is seconds."""


def allowed_seconds(headers: Headers, most: float) -> float:
    """Return the seconds that one answer may take: those of the client, ``most`` if it names none
    or more. Raises 400 for what is no number of seconds above 0."""
    given = headers.get(HEADER)
    if given is None:
        return most
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not (0 < seconds < math.inf):
        raise invalid(HEADER, f"{given[:40]!r} is no number of seconds above 0, such as 30")
    return min(seconds, most)
