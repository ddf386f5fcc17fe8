"""Headers that a caller adds to requests. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["check_headers"]

_NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")
"""What both HTTP and gRPC take."""
_VALUE = re.compile(r"[\x20-\x7e\t]*\Z")


def check_headers(headers: Mapping[str, str] | None) -> None:
    """Raise :class:`ValueError`, which names the header, for one that HTTP or gRPC cannot carry.
    The value is not repeated: it may be a key."""
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not _NAME.match(name):
            raise ValueError(
                f"headers: {name!r} is no name of a header; use letters, digits, -, _ and ."
            )
        if not isinstance(value, str):
            raise ValueError(f"headers: the value of {name!r} must be a string")
        if not _VALUE.match(value):
            raise ValueError(
                f"headers: the value of {name!r} has characters that a header cannot carry; use "
                "ASCII without line ends"
            )
        if name.lower().startswith("grpc-") or name.lower().endswith("-bin"):
            raise ValueError(
                f"headers: {name!r} has a meaning of its own in gRPC; use another name"
            )
