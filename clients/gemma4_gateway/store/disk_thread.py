"""One thread for the disk, which does not hold up the end of the process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

__all__ = ["DiskThread"]

T = TypeVar("T")


class DiskThread:
    """Runs calls one after the other. At its end Python waits for the threads of a
    ``ThreadPoolExecutor``, thus for as long as a disk hangs; it does not wait for this one."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Return the future of a call; after :meth:`close` it never comes."""
        future: Future[T] = Future()
        self._calls.put(lambda: _answer(future, work))
        return future

    def close(self) -> None:
        """End the thread after the calls that wait for it. Waits for nothing itself."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _answer(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - whoever waits for the call gets it
        future.set_exception(error)
