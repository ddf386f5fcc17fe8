"""What is kept of a server's log for a report: its beginning, its end, and what went wrong."""

from __future__ import annotations

import re
from collections import deque

__all__ = ["KeptLog"]

_FIRST, _LAST, _TROUBLE = 200, 200, 100
"""Lines."""
_LONGEST = 400
"""Characters of a line."""
_SAYS_TROUBLE = re.compile(
    r"(?i)(?:\b|User)(?:warn|error|fail|fatal|fall(?:s|ing)? ?back|unsupported|deprecat)"
    r"|(?-i:\[[WEF]\]|^[WEF]\d{4} )"
)
"""Words of trouble, and the levels of TensorRT-LLM's lines and of Triton's."""


class KeptLog:
    """Bounded, however long the log is. Written by one thread and read by another."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=_LAST)
        self._trouble: deque[str] = deque(maxlen=_TROUBLE)
        self._count = 0

    def add(self, line: str) -> None:
        """Take the next line."""
        line = line.rstrip()[:_LONGEST]
        self._count += 1
        (self._first if len(self._first) < _FIRST else self._last).append(line)
        if _SAYS_TROUBLE.search(line):
            self._trouble.append(line)

    def lines(self) -> list[str]:
        """Return the first and the last lines; between them, how many are left out."""
        first, last = [*self._first], [*self._last]
        missing = self._count - len(first) - len(last)
        return [*first, *([f"... {missing} lines left out ..."] if missing > 0 else []), *last]

    def end(self, count: int) -> list[str]:
        """Return the last ``count`` lines."""
        return [*self._first, *self._last][-count:]

    def trouble(self) -> list[str]:
        """Return the newest lines that speak of something that went wrong."""
        return [*self._trouble]
