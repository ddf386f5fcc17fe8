"""The fields of a log line, the same in every process."""

from __future__ import annotations

import time

__all__ = ["log_fields"]

_LONGEST = 2000
"""Characters of one field: a client chooses its request id, and an error may quote its input."""


def log_fields(
    event: str, fields: dict[str, object], *, level: str = "info", longest: int = _LONGEST
) -> dict[str, object]:
    """``time`` (RFC 3339, UTC, to the millisecond), ``level``, ``event``, then ``fields``, of whose
    texts what is beyond ``longest`` characters is cut off."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    line: dict[str, object] = {"time": stamp, "level": level, "event": event}
    return line | {name: _short(value, longest) for name, value in fields.items()}


def _short(value: object, longest: int) -> object:
    if isinstance(value, str) and len(value) > longest:
        return f"{value[:longest]}... ({len(value)} characters)"
    return value
