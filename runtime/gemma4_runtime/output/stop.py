"""Stop strings over a stream of bytes.

An Aho-Corasick automaton (Aho and Corasick, 1975) reads each byte once. Its depth is the length
of the longest suffix read so far that begins some stop string: exactly the bytes to hold back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["StopScanner"]


class StopScanner:
    """Find the earliest end of any stop string. ``words`` are non-empty UTF-8 strings."""

    def __init__(self, words: Iterable[str]) -> None:
        self._next: list[dict[int, int]] = [{}]
        self._depth = [0]
        self._match = [b""]  # longest stop string that ends in this state
        self._fail = [0]
        for word in words:
            self._add(word.encode())
        self._link()
        self._state = 0

    def _add(self, word: bytes) -> None:
        if not word:
            raise ValueError("a stop string is empty")
        state = 0
        for byte in word:
            if byte not in self._next[state]:
                self._next[state][byte] = len(self._next)
                self._next.append({})
                self._depth.append(self._depth[state] + 1)
                self._match.append(b"")
                self._fail.append(0)
            state = self._next[state][byte]
        self._match[state] = word

    def _link(self) -> None:
        queue = deque(self._next[0].values())
        while queue:
            state = queue.popleft()
            for byte, child in self._next[state].items():
                fail = self._fail[state]
                while fail and byte not in self._next[fail]:
                    fail = self._fail[fail]
                target = self._next[fail].get(byte, 0)
                self._fail[child] = target if target != child else 0
                self._match[child] = self._match[child] or self._match[self._fail[child]]
                queue.append(child)

    @property
    def held(self) -> int:
        """Bytes at the end of what was fed that may still become a stop string."""
        return self._depth[self._state]

    def feed(self, data: bytes) -> tuple[int, bytes] | None:
        """Read ``data``. None, or ``(end, word)`` of the first stop string to be complete: ``end``
        counts bytes of ``data``, ``word`` is the stop string (which may have begun in earlier
        data). Nothing after it is read."""
        state, follow, fail = self._state, self._next, self._fail
        for position, byte in enumerate(data):
            while state and byte not in follow[state]:
                state = fail[state]
            state = follow[state].get(byte, 0)
            if self._match[state]:
                self._state = 0
                return position + 1, self._match[state]
        self._state = state
        return None
