"""Messages on their way to another process, sent in a thread of their own."""

from __future__ import annotations

import socket
from queue import SimpleQueue
from threading import Thread

__all__ = ["Outbox"]


class Outbox:
    """Sends frames in order. A process that stops reading holds up this thread only: who puts a
    frame may hold a lock that the streams of others need. What waits here is bounded by the
    requests that the process has, since each is sent once and cancelled by its owner. ``name`` is
    the thread's."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        self._frames: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, frame: bytes) -> None:
        """Send ``frame`` (bytes) after those before it; return at once. A connection that is gone
        takes nothing more, which its reader notices."""
        self._frames.put(frame)

    def end(self) -> None:
        """End the thread after what was put. Call it when the other side reads or is gone."""
        self._frames.put(None)
        self._thread.join()

    def _run(self) -> None:
        gone = False
        while (frame := self._frames.get()) is not None:
            if gone:
                continue
            try:
                self._connection.sendall(frame)
            except OSError:
                gone = True
