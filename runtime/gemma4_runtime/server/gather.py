"""The results of several requests that are prepared for one call."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from gemma4_runtime.errors import RequestError
from gemma4_runtime.preparation.client import Result

__all__ = ["Gather"]


class Gather:
    """Calls ``done`` once, with the results in order, when the last one has come; with the first
    error alone when there is one. So the call is answered when nobody asks for its client any
    more. Thread-safe."""

    def __init__(self, count: int, done: Callable[[list[Result]], None]) -> None:
        self._count, self._done = count, done
        self._lock = Lock()
        self._results: dict[int, Result] = {}
        self._cut: RequestError | None = None

    def take(self, number: int, result: Result) -> None:
        """Take the result of request ``number``, once for each."""
        with self._lock:
            self._results[number] = result
            full = len(self._results) == self._count
        if full:
            self._end()

    def cut(self, count: int, error: RequestError) -> None:
        """Take note that ``error`` kept the requests from number ``count`` on from being asked
        for. Call it once at most, and not after the last was."""
        with self._lock:
            self._count, self._cut = count, error
            full = len(self._results) == count
        if full:
            self._end()

    def _end(self) -> None:
        ordered = [self._results[number] for number in range(self._count)]
        if self._cut is not None:
            ordered.append(self._cut)
        for result in ordered:
            if isinstance(result, RequestError):
                ordered = [result]
                break
        self._done(ordered)
