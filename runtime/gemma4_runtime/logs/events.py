"""Lines on standard error, one for each event, in the form of this process.

Nothing here raises or waits: see :mod:`gemma4_runtime.logs.writer`.
"""

from __future__ import annotations

import atexit

from gemma4_runtime.logs.form import written
from gemma4_runtime.logs.lines import log_fields
from gemma4_runtime.logs.repeats import REPEATED, Repeats
from gemma4_runtime.logs.writer import flush_logs, write_at_once, writer_of

__all__ = ["flush_events", "log_event", "log_event_at_once"]

_STDERR = 2
_LONGEST_AT_ONCE = 500
"""Characters of one field of a line that must fit a pipe: see select.PIPE_BUF."""


def log_event(event: str, *, level: str = "info", **fields: object) -> None:
    """Write one line of :func:`~gemma4_runtime.logs.lines.log_fields`. A field that is no JSON is
    written as its ``str()``. Of a flood of equal warnings and errors a few are written:
    :mod:`gemma4_runtime.logs.repeats`."""
    if _repeats.admit(event, level, fields):
        _write(event, level, fields)


def _write(event: str, level: str, fields: dict[str, object]) -> None:
    writer_of(_STDERR).write(written(log_fields(event, fields, level=level)))


def _report(event: str, times: int) -> None:
    _write(REPEATED, "warning", {"of": event, "times": times})


_repeats = Repeats(_report)


def flush_events() -> None:
    """Say what was left out of floods so far, and give the lines of this process a moment to be
    written, before it ends."""
    _repeats.flush()
    flush_logs()


atexit.register(flush_events)


def log_event_at_once(event: str, *, level: str = "info", **fields: object) -> None:
    """As :func:`log_event`, for a process that must not have a second thread: a line that standard
    error does not take at once is lost. Fields are cut off after 500 characters."""
    fields_cut = log_fields(event, fields, level=level, longest=_LONGEST_AT_ONCE)
    write_at_once(_STDERR, written(fields_cut))
