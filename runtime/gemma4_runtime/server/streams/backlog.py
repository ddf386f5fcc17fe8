"""How many chunks wait before postprocessing."""

from __future__ import annotations

from threading import Lock

from gemma4_runtime.server.board import Board, Field

__all__ = ["Backlog"]

_MOST = 16
"""Chunks that postprocessing may have before it. With more, streams wait, first come first served,
and their tokens share a chunk. So the lag of a slow reader does not grow; 16 are 5 to 15 ms of its
work, enough to keep it busy between two looks at the board."""
_STALL_S = 1.0
"""Without a chunk handled for so long the count may be wrong (a step that Triton dropped), so it
starts anew."""


class Backlog:
    """Chunks sent less those that the models after the engine have handled, by their words on the
    board. Thread-safe."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = Lock()
        self._sent = 0
        self._base = 0  # of the sent, how many not to count any more
        # While it is full: the last count of the board, and when it was first seen.
        self._seen: tuple[int, float] | None = None

    def add(self) -> None:
        """Count one more chunk that is sent."""
        with self._lock:
            self._sent += 1

    def full(self, now: float) -> bool:
        """Return True while postprocessing has enough before it. ``now``:
        :func:`time.monotonic`."""
        with self._lock:
            handled = self._handled()
            # A client can send postprocessing its own chunks again: no more were handled than sent.
            self._base = min(self._base, self._sent - handled)
            if self._sent - self._base - handled <= _MOST:
                self._seen = None
                return False
            if self._seen is None or handled != self._seen[0]:
                self._seen = (handled, now)
            elif now - self._seen[1] > _STALL_S:
                self._base = self._sent - handled
                self._seen = None
                return False
            return True

    def reset(self) -> None:
        """Start anew when nothing is open: what was not handled never will be."""
        with self._lock:
            self._base = self._sent - self._handled()

    def _handled(self) -> int:
        return self._board[Field.CHUNKS_HANDLED] + self._board[Field.NVIDIA_CHUNKS_HANDLED]
