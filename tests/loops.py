"""Tests in an event loop."""

from __future__ import annotations

import asyncio
from functools import wraps

__all__ = ["in_loop"]


def in_loop(test):
    """A coroutine function as a test, which has a minute."""

    @wraps(test)
    def run(*args, **kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run
