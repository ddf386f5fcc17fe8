"""The access log: one line for each request that ended."""

from __future__ import annotations

from dataclasses import asdict

from gemma4_runtime.logs.events import log_event
from gemma4_runtime.server.streams.record import RequestRecord

__all__ = ["log_request"]


def log_request(record: RequestRecord) -> None:
    """Write a line of the access log. Text of prompts and answers is never in it."""
    values = {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in asdict(record).items()
    }
    log_event("request", level="info" if record.status == "OK" else "warning", **values)
