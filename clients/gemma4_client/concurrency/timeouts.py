"""Timeouts of asyncio, for every Python that a client may run on."""

from __future__ import annotations

import asyncio
import sys
from concurrent import futures

if sys.version_info >= (3, 11):
    from asyncio import Timeout, timeout
else:
    from async_timeout import Timeout, timeout

__all__ = ["TIMED_OUT", "Timeout", "end_now", "timeout"]

TIMED_OUT = (TimeoutError, asyncio.TimeoutError, futures.TimeoutError)
"""What says that a time is over: in Python 3.10 three classes, since 3.11 one. Clients, gateway and
load tests catch these and never the builtin one alone."""


def end_now(limit: Timeout) -> None:
    """End the block of ``limit`` as if its time were over. Raises :class:`RuntimeError` when it
    is."""
    if sys.version_info >= (3, 11):
        limit.reschedule(0.0)
    else:
        limit.update(0.0)
