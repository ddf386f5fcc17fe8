"""Write log lines without ever failing or waiting.

A log's reader may be gone, frozen or slow, and its disk may be full. None of that may end or hold
up a thread that serves clients. So lines go into a bounded queue that one thread of their own
empties; what does not fit, or cannot be written, is counted and dropped.
"""

from __future__ import annotations

import atexit
import json
import os
import time
from collections import deque
from functools import cache
from threading import Condition, Thread

__all__ = ["LogWriter", "flush_logs", "writer_of"]

_MOST_BYTES = 4 << 20
"""Waiting lines of a reader that lags; some ten thousand requests."""
_EXIT_S = 1.0
"""Seconds that a process waits at its end for lines that are not written yet."""
_RETRY_S = 0.1
"""Seconds between two tries to write to a descriptor that takes nothing."""
_MOST_RETRIES = 10
"""Tries before a line is dropped: a reader has a second to come back."""


class LogWriter:
    """Lines for one file descriptor. Thread-safe; no method raises. Only :meth:`flush` waits."""

    def __init__(self, descriptor: int, *, most_bytes: int = _MOST_BYTES) -> None:
        """``most_bytes``: of lines that wait to be written."""
        self._descriptor = descriptor
        self._most = most_bytes
        self._condition = Condition()
        self._lines: deque[bytes] = deque()
        self._waiting = 0  # bytes in the queue, and of the line that is being written
        self._lost = 0  # lines since the last report
        self.dropped = 0
        """Lines that were lost since the start."""
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue ``line``; a newline is added."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._condition:
            if self._waiting + len(data) > self._most:
                self._lose(1)
                return
            self._waiting += len(data)
            self._lines.append(data)
            self._condition.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until all lines are written, for at most ``timeout`` seconds; False if they are
        not."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._waiting, timeout)

    def _lose(self, lines: int) -> None:
        self._lost += lines
        self.dropped += lines

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._lines:
                    self._condition.wait()
                data = self._lines.popleft()
                lost = self._lost
            # What was lost is reported before the first line that gets through again.
            report = _report(lost) if lost else b""
            written = _write(self._descriptor, report + data)
            with self._condition:
                self._waiting -= len(data)
                if written:
                    self._lost -= lost
                else:
                    self._lose(1)
                self._condition.notify_all()


def _report(lines: int) -> bytes:
    fields = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "level": "warning"}
    return json.dumps(fields | {"event": "log_lines_dropped", "lines": lines}).encode() + b"\n"


def _write(descriptor: int, data: bytes) -> bool:
    """All of ``data``; False when the descriptor does not take it."""
    retries = 0
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # somebody made the descriptor non-blocking
            retries += 1
            if retries > _MOST_RETRIES:
                return False
            time.sleep(_RETRY_S)
        except OSError:
            return False
    return True


@cache
def writer_of(descriptor: int) -> LogWriter:
    """Return the writer of a descriptor of this process: 1 or 2."""
    writer = LogWriter(descriptor)
    atexit.register(writer.flush, _EXIT_S)
    return writer


def flush_logs() -> None:
    """Give the lines of this process a moment to be written, before it ends without ceremony."""
    writer_of(2).flush(_EXIT_S)
