"""One JSON line on stderr for each request that ended."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

from gemma4_runtime.server.record import RequestRecord

__all__ = ["log_event", "log_request"]


def log_event(event: str, **fields: object) -> None:
    """Write one line: ``time`` (RFC 3339, UTC), ``level``, ``event`` and the fields."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    line = {"time": stamp, "level": fields.pop("level", "info"), "event": event, **fields}
    sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stderr.flush()


def log_request(record: RequestRecord) -> None:
    """The access log. Text of prompts and answers is never in it."""
    values = {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in asdict(record).items()
    }
    log_event("request", level="info" if record.status == "OK" else "warning", **values)
