"""JSON lines on standard error, one for each event.

Nothing here raises or waits: see :mod:`gemma4_runtime.logs.writer`.
"""

from __future__ import annotations

import json
import time

from gemma4_runtime.logs.writer import writer_of

__all__ = ["log_event"]

_STDERR = 2
_LONGEST = 2000
"""Characters of one field: a client chooses its request id, and an error may quote its input."""


def log_event(event: str, **fields: object) -> None:
    """Write one line: ``time`` (RFC 3339, UTC), ``level``, ``event`` and the fields. A field that
    is no JSON is written as its ``str()``."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    line = {"time": stamp, "level": fields.pop("level", "info"), "event": event}
    line |= {name: _short(value) for name, value in fields.items()}
    try:
        text = json.dumps(line, ensure_ascii=False, default=str)
    except Exception as error:  # noqa: BLE001 - a line must not end what it tells of
        text = json.dumps({"time": stamp, "level": "error", "event": event, "lost": repr(error)})
    writer_of(_STDERR).write(text)


def _short(value: object) -> object:
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}... ({len(value)} characters)"
    return value
