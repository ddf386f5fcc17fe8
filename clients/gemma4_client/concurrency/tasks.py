"""What the asyncio client waits with. :mod:`gemma4_client.concurrency.threads` has the same names
for the blocking client, which ``scripts/unasync.py`` makes from the asyncio one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from gemma4_client.concurrency.timeouts import TIMED_OUT

__all__ = ["Loop", "Queue", "Stop", "run_blocking", "sleep"]

T = TypeVar("T")

Queue = asyncio.Queue
sleep = asyncio.sleep


async def run_blocking(function: Callable[..., T], *args: Any) -> T:
    """Call a function that blocks, in a thread."""
    return await asyncio.to_thread(function, *args)


class Stop:
    """Set once, in the loop's thread."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self, seconds: float) -> None:
        """Return when it is set, or after ``seconds``."""
        with contextlib.suppress(*TIMED_OUT):
            await asyncio.wait_for(self._event.wait(), seconds)


class Loop:
    """The running event loop; ``name`` is that of its tasks."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.closed = False

    def call(self, function: Callable[[], T]) -> T:
        """Call ``function`` in the loop, and return its result."""
        return function()

    def submit(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run as a task."""
        task = self._loop.create_task(work, name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for ``work``, and return its result."""
        return await work

    def drop(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task that nobody waits for, from any thread, even when the loop is closed."""
        if not task.done():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(task.cancel)

    async def close(self) -> None:
        """Cancel what was submitted, and wait for it. The loop itself goes on."""
        self.closed = True
        await self.cancel_all()

    async def cancel_all(self) -> None:
        """Cancel what was submitted, and wait for it."""
        await asyncio.sleep(0)  # a task that never began could not say that it was cancelled
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
