"""One line for each request, and one for each thing that an operator wants to know."""

from __future__ import annotations

import logging
import time
import traceback
from functools import partial
from typing import Any, TextIO

from gemma4_runtime.logs.form import LogForm, escaped
from gemma4_runtime.logs.lines import log_fields
from gemma4_runtime.logs.repeats import REPEATED, Repeats
from gemma4_runtime.logs.text import fact, facts, shown_id, text_line
from gemma4_runtime.logs.writer import LogWriter

from gemma4_gateway.jsons import dumps
from gemma4_gateway.keys import ANONYMOUS
from gemma4_gateway.record import Record

__all__ = ["Log", "written"]

_TRACE_END = 1900
"""Last characters of a traceback that a line keeps."""
_ANYBODY = ANONYMOUS.name


class Log:
    """``json``: one object a line; ``text`` and ``color``: for people. Keys, prompts and answers
    are never written. It never raises and never waits: what cannot be written is dropped and
    counted. What a client sends can neither forge a line or a field nor move the cursor of a
    terminal. ``worker``: a field of every line, where several processes serve."""

    def __init__(
        self, form: LogForm, out: TextIO | None = None, *, worker: int | None = None
    ) -> None:
        self._form = form
        self._own = {} if worker is None else {"worker": worker}
        self._writer = LogWriter(2 if out is None else partial(_put, out), reports=False)
        self._told = 0
        self._repeats = Repeats(self._repeated)

    @property
    def dropped(self) -> int:
        """Lines that could not be written so far."""
        return self._writer.dropped

    def event(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """``fields`` must be JSON. Of a flood of equal warnings and errors a few are written:
        :mod:`gemma4_runtime.logs.repeats`."""
        if self._repeats.admit(event, level, fields):
            self._write(event, level, fields)

    def _repeated(self, event: str, times: int) -> None:
        self._write(REPEATED, "warning", {"of": event, "times": times})

    def _write(self, event: str, level: str, fields: dict[str, Any]) -> None:
        dropped = self._writer.dropped
        if dropped > self._told:
            fields["lines_dropped"], self._told = dropped - self._told, dropped
        line = log_fields(event, fields | self._own, level=level)
        self._writer.write(written(line, self._form))

    def flush(self) -> None:
        """Wait a moment for what is to be written."""
        self._writer.flush()

    def close(self) -> None:
        """Write what there is, if it can be written."""
        self._repeats.flush()
        self._writer.close()

    def take_logging(self) -> None:
        """Have what libraries log (uvicorn, asyncio, grpc) come here: by themselves they write to
        stderr in the event loop."""
        root = logging.getLogger()
        root.handlers = [_Handler(self)]

    def request(self, record: Record) -> None:
        """Write the access line."""
        trace = {"trace_id": record.trace.trace_id} if record.trace else {}
        if record.span_id:
            trace["span_id"] = record.span_id
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
            queue_seconds=round(record.queued, 4) or None,
            key=record.key.name,
            model=record.model[:256] or None,
            stream=record.streamed,
            backends=record.backends,
            prompt_tokens=record.prompt_tokens,
            completion_tokens=record.completion_tokens,
            finish=record.finish or None,
            error=record.error or None,
            code=record.code or None,
            **trace,
        )


def written(line: dict[str, object], form: LogForm) -> str:
    """Return a line of :func:`~gemma4_runtime.logs.lines.log_fields`, as every one of a gateway."""
    if form == "json":
        return escaped(dumps(line).decode())
    words = _request_words(line) if line["event"] == "request" else None
    return text_line(line, color=form == "color", words=words)


def _put(out: TextIO, data: bytes) -> None:
    out.write(data.decode())
    out.flush()


def _request_words(line: dict[str, Any]) -> str:
    """Return what a person wants to know of a request: the usual first, the rest by name."""
    ttft = line["ttft_seconds"]
    told = ("request_id", "status", "method", "path", "prompt_tokens", "completion_tokens",
            "ttft_seconds", "seconds", "finish")  # fmt: skip
    usual = ("time", "level", "event", "stream", *(("key",) if line["key"] == _ANYBODY else ()))
    parts = [
        shown_id(line["request_id"]), str(line["status"]), fact(line["method"]), fact(line["path"]),
        line["finish"] and fact(line["finish"]),
        f"{line['prompt_tokens']}+{line['completion_tokens']} tokens"
        if line["prompt_tokens"] or line["completion_tokens"] else "",
        f"first {ttft * 1000:.0f} ms" if ttft else "",
        f"{line['seconds']:.3g} s",
        facts({name: value for name, value in line.items() if name not in (*told, *usual)}),
    ]  # fmt: skip
    return " ".join(filter(None, parts))


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
