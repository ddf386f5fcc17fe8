"""What libraries say by Python's logging, as lines of our log."""

from __future__ import annotations

import logging
import traceback

from gemma4_runtime.logs.events import log_event

__all__ = ["take_logging"]

_TRACE_END = 1900
"""Last characters of a traceback that a line keeps."""


def take_logging() -> None:
    """Have warnings and errors of libraries (asyncio, grpc, urllib3) come to
    :func:`~gemma4_runtime.logs.events.log_event`; by themselves they write to standard error in a
    form of their own."""
    logging.getLogger().handlers = [_Handler(logging.WARNING)]


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            error = record.exc_info and "".join(traceback.format_exception(*record.exc_info))
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - as logging does: a message that is wrong ends nothing
            error, message = None, str(record.msg)
        log_event(
            "log", level=record.levelname.lower(), logger=record.name, message=message,
            error=(error or "")[-_TRACE_END:],
        )  # fmt: skip
