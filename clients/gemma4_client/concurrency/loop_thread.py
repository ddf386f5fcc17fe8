"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

__all__ = ["LoopThread"]

T = TypeVar("T")


class LoopThread:
    """Starts at once. The thread is a daemon: a program that forgets :meth:`close` still ends."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run as a task; cancelling the future cancels it. Raises :class:`RuntimeError` after
        :meth:`close`."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise RuntimeError("this client is closed") from None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for ``work``, and return its result."""
        return self.submit(work).result()

    def call(self, function: Callable[[], T]) -> T:
        """Call ``function`` in the loop, and return its result."""

        async def work() -> T:
            return function()

        return self.run(work())

    def drop(self, future: Future[Any]) -> None:
        """Cancel what nobody waits for."""
        future.cancel()

    @property
    def closed(self) -> bool:
        return self._loop.is_closed()

    def cancel_all(self) -> None:
        """Cancel what runs, and wait for it."""
        self.run(_cancel_others())

    def close(self) -> None:
        """Cancel what runs, and end the thread."""
        if self.closed:
            return
        self.cancel_all()
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
