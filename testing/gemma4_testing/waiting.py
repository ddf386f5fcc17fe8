"""Waiting for something that another thread or process does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["wait_until", "wait_until_async"]


def wait_until(
    condition: Callable[[], object], timeout: float, what: str = "", *, every: float = 0.005
) -> float:
    """Poll ``condition`` every ``every`` seconds until it is true; return the seconds that it took.
    AssertionError with ``what`` when it is not true within ``timeout`` seconds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout, f"not within {timeout} s{what and ': '}{what}"
        time.sleep(every)
    return time.monotonic() - started


async def wait_until_async(
    condition: Callable[[], object], timeout: float, what: str = "", *, every: float = 0.005
) -> float:
    """As :func:`wait_until`, for a condition that is asked in the running loop."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout, f"not within {timeout} s{what and ': '}{what}"
        await asyncio.sleep(every)
    return time.monotonic() - started
