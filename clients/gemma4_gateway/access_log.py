"""One line for each request, and one for each thing that an operator wants to know."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import orjson

from gemma4_gateway.record import Record

__all__ = ["Log"]


class Log:
    """``json``: one object a line; ``text``: for people. Keys, prompts and answers are never
    written."""

    def __init__(self, form: Literal["json", "text"], out: TextIO = sys.stderr) -> None:
        self._json = form == "json"
        self._out = out

    def event(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """``fields`` must be JSON."""
        now = datetime.now(UTC)
        if self._json:
            line = orjson.dumps({"time": now.isoformat(), "level": level, "event": event} | fields)
            self._out.write(line.decode() + "\n")
        else:
            words = " ".join(f"{k}={v}" for k, v in fields.items() if v not in (None, "", []))
            self._out.write(f"{now:%H:%M:%S} {event} {words}\n")
        self._out.flush()

    def request(self, record: Record) -> None:
        """The access line."""
        ttft = record.first_token and record.first_token - record.started
        self.event(
            "request",
            level="error" if record.status >= 500 else "info",
            request_id=record.request_id,
            method=record.method,
            path=record.path,
            status=record.status,
            seconds=round(time.perf_counter() - record.started, 4),
            ttft_seconds=ttft and round(ttft, 4),
            key=record.key.name,
            model=record.model or None,
            stream=record.streamed,
            backends=record.backends,
            prompt_tokens=record.prompt_tokens,
            completion_tokens=record.completion_tokens,
            finish=record.finish or None,
            error=record.error or None,
        )
