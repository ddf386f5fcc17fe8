"""Lines to a file that may be full, closed, or read by nobody."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TextIO

__all__ = ["LogWriter"]

_MOST_LINES = 4096
_MOST_CHARS = 16 * 1024
"""Of one line."""
_PAUSE_S = 1.0
"""After a failure, before the next try."""


class LogWriter:
    """:meth:`write` never raises and never waits: a thread writes. Lines that find the queue full,
    or cannot be written, are dropped and counted. ``out`` None drops everything."""

    def __init__(self, out: TextIO | None, *, most_lines: int = _MOST_LINES) -> None:
        self._out = out
        self._lines: deque[str] = deque()
        self._most = most_lines
        self._changed = threading.Condition()
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def write(self, line: str) -> None:
        """``line`` without its end."""
        with self._changed:
            if self._out is None or self._closed or len(self._lines) >= self._most:
                self.dropped += 1
                return
            self._lines.append(line[:_MOST_CHARS])
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gateway-log", daemon=True)
                self._thread.start()
            self._changed.notify()

    def flush(self, timeout: float = 1.0) -> bool:
        """Wait until all is written, so long; False when it is not."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines and not self._busy, timeout)

    def close(self, timeout: float = 1.0) -> None:
        """Write what there is, if that can be done in time."""
        self.flush(timeout)
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                lines = list(self._lines)
                self._lines.clear()
                self._busy = True
            done = self._put("".join(line + "\n" for line in lines))
            with self._changed:
                self._busy = False
                if not done:
                    self.dropped += len(lines)
                    self._changed.wait_for(lambda: self._closed, _PAUSE_S)
                self._changed.notify_all()

    def _put(self, text: str) -> bool:
        """Blocks as long as the reader does: in this thread, nobody minds."""
        assert self._out is not None
        try:
            try:
                descriptor = self._out.fileno()
            except (OSError, ValueError, AttributeError):
                self._out.write(text)
                self._out.flush()
                return True
            data = memoryview(text.encode("utf-8", "backslashreplace"))
            while data:
                data = data[os.write(descriptor, data) :]
        except Exception:  # noqa: BLE001 - a log that fails must not end anything
            return False
        return True
