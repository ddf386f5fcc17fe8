"""JSON of values that came from a client. Standard library behind orjson."""

from __future__ import annotations

import json
from typing import Any

import orjson

__all__ = ["dumps"]


def dumps(value: Any) -> bytes:
    """Return UTF-8. orjson takes no integers beyond 64 bits and no lone surrogates, which JSON has
    and a schema of a tool may hold."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()
