"""One line for each request, and one for each thing that an operator wants to know."""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
from functools import partial
from typing import Any, Literal, TextIO

from gemma4_runtime.logs.lines import log_fields
from gemma4_runtime.logs.writer import LogWriter

from gemma4_gateway.jsons import dumps
from gemma4_gateway.plain_text import escaped
from gemma4_gateway.record import Record

__all__ = ["Log"]

_TRACE_END = 1900
"""Last characters of a traceback that a line keeps."""
_PLAIN = re.compile(r"[^\s\"'=\\]+")


class Log:
    """``json``: one object a line; ``text``: for people. Keys, prompts and answers are never
    written. It never raises and never waits: what cannot be written is dropped and counted. What a
    client sends can neither forge a line or a field nor move the cursor of a terminal."""

    def __init__(self, form: Literal["json", "text"], out: TextIO | None = None) -> None:
        self._json = form == "json"
        self._writer = LogWriter(2 if out is None else partial(_put, out), reports=False)
        self._told = 0

    @property
    def dropped(self) -> int:
        """Lines that could not be written so far."""
        return self._writer.dropped

    def event(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """``fields`` must be JSON."""
        dropped = self._writer.dropped
        if dropped > self._told:
            fields["lines_dropped"], self._told = dropped - self._told, dropped
        line = log_fields(event, fields, level=level)
        if self._json:
            self._writer.write(escaped(dumps(line).decode()))
        else:
            clock = time.strftime("%H:%M:%S", time.gmtime())
            words = (f"{k}={_word(line[k])}" for k in fields if line[k] not in (None, "", []))
            self._writer.write(f"{clock} {event} {' '.join(words)}")

    def close(self) -> None:
        """Write what there is, if it can be written."""
        self._writer.close()

    def take_logging(self) -> None:
        """Have what libraries log (uvicorn, asyncio, grpc) come here: by themselves they write to
        stderr in the event loop."""
        root = logging.getLogger()
        root.handlers = [_Handler(self)]

    def request(self, record: Record) -> None:
        """Write the access line."""
        ttft = record.first_token and record.first_token - record.started
        self.event(
            "request",
            level="error" if record.status >= 500 else "info",
            request_id=record.request_id,
            method=record.method,
            path=record.path[:512],
            status=record.status,
            seconds=round(time.perf_counter() - record.started, 4),
            ttft_seconds=ttft and round(ttft, 4),
            key=record.key.name,
            model=record.model[:256] or None,
            stream=record.streamed,
            backends=record.backends,
            prompt_tokens=record.prompt_tokens,
            completion_tokens=record.completion_tokens,
            finish=record.finish or None,
            error=record.error or None,
            code=record.code or None,
        )


def _put(out: TextIO, data: bytes) -> None:
    out.write(data.decode())
    out.flush()


def _word(value: Any) -> str:
    """One value of a text line, quoted where it would look like several."""
    text = str(value)
    return escaped(text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False))


class _Handler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            error = record.exc_info and "".join(traceback.format_exception(*record.exc_info))
            error = error and error[-_TRACE_END:]
            self._log.event(
                "log", level=record.levelname.lower(), logger=record.name,
                message=record.getMessage(), error=error or None,
            )  # fmt: skip
        except Exception:  # noqa: BLE001 - as logging does: a message that is wrong ends nothing
            self._log.event("log", level="error", logger=record.name, message=str(record.msg))
