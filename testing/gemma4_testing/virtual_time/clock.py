"""A clock that goes on only while everybody waits, for an event loop and one thread beside it.

Either the event loop runs or the thread does, never both: whoever would wait hands over. When both
wait, the clock jumps to the earlier of what they wait for. So a program that only waits for times
and for each other does the same in every run, in as little real time as it computes.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

__all__ = ["Clock", "VirtualCondition", "in_virtual_time", "run_in_virtual_time"]

T = TypeVar("T")

_HANGS_S = 120.0
"""Real seconds after which a thread that neither waits nor ends is an error."""


class Clock:
    """Seconds since the start. ``thread`` is what waits on a :class:`VirtualCondition`, if any."""

    def __init__(self) -> None:
        self.now = 0.0
        self.free = False
        self._due: float | None = None  # when the thread wants to go on; None: no thread waits
        self._called = False  # or before, as it was notified
        self._threads = 0
        self._waits, self._goes = threading.Event(), threading.Semaphore(0)

    def time(self) -> float:
        return self.now

    def module(self) -> SimpleNamespace:
        """Return what a module has for ``time``."""
        return SimpleNamespace(monotonic=self.time, perf_counter=self.time)

    def release(self) -> None:
        """Let the thread wait for nothing any more, before it is ended."""
        self.free = True
        self._goes.release()

    # in the thread

    def wait(self, seconds: float | None) -> None:
        """Hand over to the event loop until the time is over (None: never), or the thread is
        notified."""
        if self.free:
            return
        self._due = self.now + (math.inf if seconds is None else seconds)
        self._waits.set()
        self._goes.acquire()

    def call(self) -> None:
        """Have the thread go on as soon as the event loop waits."""
        self._called = True

    # in the event loop

    def join(self) -> None:
        """Count a thread, from its start on."""
        self._threads += 1

    def advance(self, seconds: float | None) -> None:
        """Let the thread do what is due, or time pass: at most ``seconds``, None is for ever."""
        if self._threads and not self._waits.wait(_HANGS_S):
            raise TimeoutError("the thread beside the event loop neither waits nor ends")
        due = self._due
        if due is not None and (self._called or due <= self.now):
            self._called, self._due = False, None
            self._waits.clear()
            self._goes.release()
            if not self._waits.wait(_HANGS_S):
                raise TimeoutError("the thread beside the event loop neither waits nor ends")
            return
        until = min(math.inf if due is None else due,
                    math.inf if seconds is None else self.now + seconds)  # fmt: skip
        if until == math.inf:
            raise RuntimeError("everybody waits for ever")
        self.now = max(self.now, until)


class VirtualCondition:
    """In place of a :class:`threading.Condition` on which one thread waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        clock.join()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def notify(self) -> None:
        self._clock.call()

    def wait(self, timeout: float | None = None) -> None:
        self._lock.release()
        try:
            self._clock.wait(timeout)
        finally:
            self._lock.acquire()


class _Selector(selectors.SelectSelector):
    """Lets time pass where the event loop would wait."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and (timeout is None or timeout > 0):
            self._clock.advance(timeout)
            found = super().select(0)
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        super().__init__(_Selector(clock))
        self._clock_resolution = 1e-9
        self.time = clock.time  # type: ignore[method-assign]


def run_in_virtual_time(course: Coroutine[Any, Any, T], clock: Clock | None = None) -> T:
    """Run a coroutine that waits for times of its loop only, and for nothing outside of it; a busy
    machine changes nothing then. RuntimeError when all wait for ever."""
    loop = _Loop(clock or Clock())
    try:
        return loop.run_until_complete(course)
    finally:
        loop.close()


def in_virtual_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, course: Coroutine[Any, Any, T]
) -> T:
    """Run a coroutine on the clock. The load test has no other; its last moment before a request,
    which it spends looking at the clock, it waits for like the rest."""
    for module in ("run", "lag"):
        monkeypatch.setattr(f"gemma4_load.drive.{module}.time", clock.module())
    monkeypatch.setattr("gemma4_load.drive.run._SPIN_S", 0.0)
    return run_in_virtual_time(course, clock)
