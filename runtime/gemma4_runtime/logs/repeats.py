"""A flood of equal warnings and errors gives a few lines and a count.

Whoever can make a server log an error can do so a thousand times a second. That would hide what
else happened, fill disks and cost CPU time. So of lines that differ in numbers and ids alone only
the first ten of a minute are written, and of one event two hundred, whatever they say; the rest is
counted in one line, ``log_repeated``, at the end of that minute. The lines of the access log, one
for each request, are no errors of the server and always written.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock, Timer

__all__ = ["REPEATED", "Repeats"]

REPEATED = "log_repeated"
"""The event that says how many lines of another event were left out (``of``, ``times``)."""
_FEW = 10
"""Lines of a minute that are equal but for numbers and ids."""
_MOST = 200
"""Lines of one event in a minute."""
_MOST_KINDS = 1000
"""Kinds of lines that are told apart in a minute; those beyond are one kind for each event."""
_WINDOW_S = 60.0
"""Seconds after which lines are written again, and the rest was counted."""
_SHOWN = 300
"""Characters of each text that tell one line from another."""
_VARYING = re.compile(r"[0-9a-fA-F]{8,}|0x[0-9a-fA-F]+|\d+(?:\.\d+)?")
_IDS = frozenset({"request_id", "key", "client", "trace_id", "span_id"})
_ALWAYS = frozenset({"request", REPEATED})

Kind = tuple[str, ...]


@dataclass(slots=True)
class _Count:
    written: int = 0
    left_out: int = 0


class Repeats:
    """Thread-safe. ``report`` gets an event and how many lines of it were left out, in a thread of
    this object, or in that of :meth:`flush`. ``window_s``: seconds that are counted together."""

    def __init__(self, report: Callable[[str, int], None], *, window_s: float = _WINDOW_S) -> None:
        self._report = report
        self._window_s = window_s
        self._lock = Lock()
        self._began = float("-inf")
        self._kinds: dict[Kind, _Count] = {}
        self._events: dict[str, _Count] = {}
        self._timer: Timer | None = None

    def admit(self, event: str, level: str, fields: Mapping[str, object]) -> bool:
        """Say whether a line is to be written; one that is not is counted. Never raises."""
        if level == "info" or event in _ALWAYS:
            return True
        kind = _kind(event, fields)
        now = time.monotonic()
        with self._lock:
            over = self._left_out() if now - self._began >= self._window_s else {}
            if now - self._began >= self._window_s:
                self._begin(now)
            admitted = self._count(event, kind)
            if not admitted and self._timer is None:
                self._timer = Timer(self._began + self._window_s - now, self.flush)
                self._timer.daemon = True
                self._timer.start()
        self._tell(over)
        return admitted

    def flush(self) -> None:
        """Report what was left out so far, and begin anew."""
        with self._lock:
            over = self._left_out()
            self._begin(time.monotonic())
        self._tell(over)

    def _count(self, event: str, kind: Kind) -> bool:
        if kind not in self._kinds and len(self._kinds) >= _MOST_KINDS:
            kind = (event,)
        one = self._kinds.setdefault(kind, _Count())
        every = self._events.setdefault(event, _Count())
        if one.written >= _FEW or every.written >= _MOST:
            every.left_out += 1
            return False
        one.written += 1
        every.written += 1
        return True

    def _left_out(self) -> dict[str, int]:
        return {event: count.left_out for event, count in self._events.items() if count.left_out}

    def _begin(self, now: float) -> None:
        self._began = now
        self._kinds.clear()
        self._events.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self, over: Mapping[str, int]) -> None:
        for event, times in over.items():
            self._report(event, times)


def _kind(event: str, fields: Mapping[str, object]) -> Kind:
    texts = (
        _VARYING.sub("#", value[:_SHOWN])
        for name, value in fields.items()
        if isinstance(value, str) and name not in _IDS
    )
    return (event, *texts)
