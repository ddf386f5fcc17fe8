"""Lines on standard error, one for each event, in the form of this process.

Nothing here raises or waits: see :mod:`gemma4_runtime.logs.writer`.
"""

from __future__ import annotations

from gemma4_runtime.logs.form import written
from gemma4_runtime.logs.lines import log_fields
from gemma4_runtime.logs.writer import write_at_once, writer_of

__all__ = ["log_event", "log_event_at_once"]

_STDERR = 2
_LONGEST_AT_ONCE = 500
"""Characters of one field of a line that must fit a pipe: see select.PIPE_BUF."""


def log_event(event: str, *, level: str = "info", **fields: object) -> None:
    """Write one line of :func:`~gemma4_runtime.logs.lines.log_fields`. A field that is no JSON is
    written as its ``str()``."""
    writer_of(_STDERR).write(written(log_fields(event, fields, level=level)))


def log_event_at_once(event: str, *, level: str = "info", **fields: object) -> None:
    """As :func:`log_event`, for a process that must not have a second thread: a line that standard
    error does not take at once is lost. Fields are cut off after 500 characters."""
    fields_cut = log_fields(event, fields, level=level, longest=_LONGEST_AT_ONCE)
    write_at_once(_STDERR, written(fields_cut))
