"""The engine calls that one request has open, and its waits for one."""

from __future__ import annotations

from typing import Protocol

__all__ = ["OpenCalls"]


class _Call(Protocol):
    def cancel(self) -> object: ...


class OpenCalls:
    """``cancel`` ends them all, and those that are added later.

    They are ended by their own cancel and not by that of the task that reads them: a gRPC read
    that is cancelled from outside keeps some memory forever (grpcio 1.85, 0.3 to 3 kB)."""

    def __init__(self) -> None:
        self._calls: set[_Call] = set()
        self._cancelled = False

    def add(self, call: _Call) -> None:
        self._calls.add(call)
        if self._cancelled:
            call.cancel()

    def remove(self, call: _Call) -> None:
        """End it, if it still runs."""
        self._calls.discard(call)
        call.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        for call in self._calls:
            call.cancel()
