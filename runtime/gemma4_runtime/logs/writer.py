"""Write log lines without ever failing or waiting.

A log's reader may be gone, frozen or slow, and its disk may be full. None of that may end or hold
up a thread that serves clients. So lines go into a bounded queue that one thread of their own
empties; what does not fit, or cannot be written, is counted and dropped.

Neither logging nor structlog does this. ``python bench/log_writers.py`` writes 50,000 lines of 300
bytes as fast as it can (2 cores, 24 GiB, no GPU; Python 3.11):

* This writer takes 15 to 28 us a line, its thread's work included, whether the lines go to a file,
  a frozen pipe, a pipe without a reader or a full disk. It uses 5 MiB at most. The process ends
  within 1.2 s.
* ``logging.StreamHandler`` and structlog (75 to 120 us) stand still at a frozen pipe; structlog
  raises at the other two. Neither counts what is lost.
* ``QueueHandler`` with a bounded queue (200 to 280 us) says on standard error that the queue is
  full, and so stands still as well. With ``logging.raiseExceptions`` off it goes on, but its
  listener cannot be stopped: the process never ends. The bound is of lines, not of bytes.
"""

from __future__ import annotations

import atexit
import os
import select
import time
from collections import deque
from collections.abc import Callable
from functools import cache, partial
from threading import Condition, Thread

from gemma4_runtime.logs.form import written
from gemma4_runtime.logs.lines import log_fields

__all__ = ["LogWriter", "flush_logs", "write_at_once", "writer_of"]

_MOST_BYTES = 4 << 20
"""Waiting lines of a reader that lags; some ten thousand requests."""
_AT_ONCE = select.PIPE_BUF
"""Bytes of several lines that are written together: a pipe that other processes write to as well
does not mix them up."""
_EXIT_S = 1.0
"""Seconds that a process waits at its end for lines that are not written yet."""
_RETRY_S = 0.1
"""Seconds between two tries to write to a descriptor that takes nothing."""
_MOST_RETRIES = 10
"""Tries before a line is dropped: a reader has a second to come back."""


class LogWriter:
    """Lines for one place. Thread-safe; no method raises. Only :meth:`flush` and :meth:`close`
    wait."""

    def __init__(
        self,
        out: int | Callable[[bytes], object],
        *,
        most_bytes: int = _MOST_BYTES,
        reports: bool = True,
    ) -> None:
        """``out``: a file descriptor, or what writes whole lines and raises when it cannot.
        ``most_bytes``: of lines that wait to be written. ``reports``: write a line
        ``log_lines_dropped`` before the first that gets through again."""
        self._put = partial(_write, out) if isinstance(out, int) else out
        self._most = most_bytes
        self._reports = reports
        self._condition = Condition()
        self._lines: deque[bytes] = deque()
        self._waiting = 0  # bytes in the queue, and of the lines that are being written
        self._lost = 0  # lines since the last report
        self._closed = False
        self._thread: Thread | None = None
        self.dropped = 0
        """Lines that were lost since the start."""

    def write(self, line: str) -> None:
        """Queue ``line``; a newline is added."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._condition:
            if self._closed or self._waiting + len(data) > self._most:
                self._lose(1)
                return
            self._waiting += len(data)
            self._lines.append(data)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def flush(self, timeout: float = _EXIT_S) -> bool:
        """Wait until all lines are written or lost, for at most ``timeout`` seconds; False if they
        are not."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._waiting, timeout)

    def close(self, timeout: float = _EXIT_S) -> None:
        """Flush, and take no more lines."""
        self.flush(timeout)
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _lose(self, lines: int) -> None:
        self._lost += lines
        self.dropped += lines

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                lines = self._take()
                lost = self._lost if self._reports else 0
            # What was lost is reported before the first line that gets through again.
            data = b"".join(lines)
            written = self._tried((_report(lost) if lost else b"") + data)
            with self._condition:
                self._waiting -= len(data)
                if written:
                    self._lost -= lost
                else:
                    self._lose(len(lines))
                self._condition.notify_all()

    def _take(self) -> list[bytes]:
        """One line, and those behind it that fit."""
        lines = [self._lines.popleft()]
        size = len(lines[0])
        while self._lines and size + len(self._lines[0]) <= _AT_ONCE:
            lines.append(self._lines.popleft())
            size += len(lines[-1])
        return lines

    def _tried(self, data: bytes) -> bool:
        try:
            self._put(data)
        except Exception:  # noqa: BLE001 - a log that fails must not end anything
            return False
        return True


def _report(lines: int) -> bytes:
    fields = log_fields("log_lines_dropped", {"lines": lines}, level="warning")
    return written(fields).encode("utf-8", "backslashreplace") + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    """All of ``data``. Raises :class:`OSError` when the descriptor does not take it."""
    retries = 0
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # somebody made the descriptor non-blocking
            retries += 1
            if retries > _MOST_RETRIES:
                raise
            time.sleep(_RETRY_S)


def write_at_once(descriptor: int, line: str) -> bool:
    """Write ``line`` and a newline without a thread, if that can be done without waiting; False
    if it cannot, or if the line is longer than :data:`select.PIPE_BUF` bytes. Never raises."""
    data = line.encode("utf-8", "backslashreplace") + b"\n"
    try:
        # A pipe is ready when it has room for PIPE_BUF bytes.
        if len(data) > _AT_ONCE or not select.select([], [descriptor], [], 0)[1]:
            return False
        return os.write(descriptor, data) == len(data)
    except (OSError, ValueError):
        return False


@cache
def writer_of(descriptor: int) -> LogWriter:
    """Return the writer of a descriptor of this process: 1 or 2."""
    writer = LogWriter(descriptor)
    atexit.register(writer.flush)
    return writer


def flush_logs() -> None:
    """Give the lines of this process a moment to be written, before it ends without ceremony."""
    writer_of(2).flush()
