"""Values of Dynamo's request that are computed with, checked. Pure.

Dynamo's frontend sends no others; another client of the endpoint may. What is only passed on is
checked by the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemma4_dynamo.refused import RefusedError

__all__ = ["integer", "integers", "part", "short"]

_SHOWN = 40
"""Characters of a value that an error shows."""


def part(name: str, value: Any) -> Mapping[str, Any]:
    """Return a group of options, an empty one for None. Raises :class:`RefusedError`."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RefusedError(name, f"{short(value)} is no object; send one or leave it out")
    return value


def integer(name: str, value: Any) -> int:
    """Return ``value``. Raises :class:`RefusedError`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise RefusedError(name, f"{short(value)} is no integer; send one or leave it out")
    return value


def integers(name: str, value: Any) -> list[int]:
    """Return ``value``, an empty list for None. Raises :class:`RefusedError`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise RefusedError(name, f"{short(value)} is no list of integers; send one")
    if set(map(type, value)) <= {int}:  # 100,000 in milliseconds
        return list(value)
    return [integer(name, each) for each in value]


def short(value: Any) -> str:
    """Return ``value`` as an error shows it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
