"""Work on large bodies, beside the event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["INLINE_BYTES", "OffLoop"]

T = TypeVar("T")

INLINE_BYTES = 16 * 1024
"""Smaller bodies take less time than the way to a thread and back."""
_THREADS = 2
"""Threads that parse and check large bodies."""
_SWITCH_S = 0.001
"""Seconds after which a thread gives way to the event loop; Python has 5 ms."""


class OffLoop:
    """Two threads. Python runs one thread at a time and changes between them each
    ``sys.getswitchinterval()`` seconds, which becomes 1 ms (5 by default): so long a chunk of an
    answer waits at most for each turn that a thread has. A single call in C (parsing, validating)
    is not interrupted; what it may cost is bounded by the number of values in a body."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, "gateway-body")

    def start(self) -> None:
        sys.setswitchinterval(_SWITCH_S)

    async def run(self, size: int, work: Callable[[], T]) -> T:
        """Run ``work`` and return what it returns or raises; ``size`` is that of the body, in
        bytes."""
        if size <= INLINE_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
