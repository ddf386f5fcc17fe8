"""Waiting for something that another thread or process does.

A limit is what it may take on a machine that has a processor for it. So the time in which some
task of this machine waited for a processor does not count, by Linux's pressure stall information
(nothing, where there is none), up to three times the limit. On a quiet machine that is 2 % of the
time; with two suites beside it, more than half.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["wait_until", "wait_until_async"]

_PRESSURE = Path("/proc/pressure/cpu")
_MOST_STALLED = 3.0
"""Times a limit."""


def wait_until(
    condition: Callable[[], object], timeout: float, what: str = "", *, every: float = 0.005
) -> float:
    """Poll ``condition`` every ``every`` seconds until it is true; return the seconds that it took.
    AssertionError with ``what`` when it is not true within ``timeout`` seconds."""
    limit = _Limit(timeout, what)
    while not condition():
        limit.check()
        time.sleep(every)
    return limit.elapsed


async def wait_until_async(
    condition: Callable[[], object], timeout: float, what: str = "", *, every: float = 0.005
) -> float:
    """As :func:`wait_until`, for a condition that is asked in the running loop."""
    limit = _Limit(timeout, what)
    while not condition():
        limit.check()
        await asyncio.sleep(every)
    return limit.elapsed


class _Limit:
    def __init__(self, seconds: float, what: str) -> None:
        self._seconds = seconds
        self._what = what
        self._started = time.monotonic()
        self._stalled = _stalled()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def check(self) -> None:
        if self.elapsed < self._seconds:
            return
        stalled = min(_stalled() - self._stalled, _MOST_STALLED * self._seconds)
        what = f": {self._what}" if self._what else ""
        assert self.elapsed - stalled < self._seconds, (
            f"not within {self._seconds} s, and {stalled:.2f} s of a busy machine{what}"
        )


def _stalled() -> float:
    """Return the seconds since the start of the machine in which some task had no processor."""
    try:
        some = _PRESSURE.read_text(encoding="ascii").splitlines()[0]
        return int(some.rsplit("total=", 1)[1]) / 1e6
    except (OSError, LookupError, ValueError):
        return 0.0
