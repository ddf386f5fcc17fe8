"""The access log: one line for each request that ended."""

from __future__ import annotations

from dataclasses import asdict

from gemma4_runtime.logs.events import log_event
from gemma4_runtime.server.streams.record import RequestRecord

__all__ = ["log_request"]


def log_request(record: RequestRecord, *, trace_id: str = "", span_id: str = "") -> None:
    """Write a line of the access log. Text of prompts and answers is never in it. ``trace_id`` and
    ``span_id``, in hexadecimal, are left out where they are empty."""
    values = {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in asdict(record).items()
    }
    trace = {"trace_id": trace_id, "span_id": span_id}
    values |= {name: value for name, value in trace.items() if value}
    log_event("request", level="info" if record.status == "OK" else "warning", **values)
