"""The engine calls that one request has open."""

from __future__ import annotations

from gemma4_client import AsyncStream

__all__ = ["OpenCalls"]


class OpenCalls:
    """``cancel`` ends them all, and those that are added later.

    They are ended by their own cancel and not by that of the task that reads them: a gRPC read
    that is cancelled from outside keeps some memory forever (grpcio 1.85, 0.3 to 3 kB)."""

    def __init__(self) -> None:
        self._streams: set[AsyncStream] = set()
        self._cancelled = False

    def add(self, stream: AsyncStream) -> None:
        self._streams.add(stream)
        if self._cancelled:
            stream.cancel()

    def remove(self, stream: AsyncStream) -> None:
        """End it, if it still runs."""
        self._streams.discard(stream)
        stream.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        for stream in self._streams:
            stream.cancel()
