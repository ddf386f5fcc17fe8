"""Which tokens the text of an answer is made of."""

from __future__ import annotations

from collections import deque

__all__ = ["TextTokens"]


class TextTokens:
    """Follows the bytes of the content channel from the tokens that brought them to the client."""

    def __init__(self) -> None:
        self._held: deque[tuple[int, int]] = deque()
        self._shown_to = 0
        self.ready: list[tuple[int, int]] = []
        """``(number of the token, bytes of it that are text)``, for the caller to take. A token
        that something else divides has two entries, of its beginning and of its rest."""

    def add(self, number: int, size: int) -> None:
        """Add token ``number``, which brings ``size`` bytes, at least one."""
        self._held.append((number, size))

    def show(self, size: int) -> None:
        """Take note that the next ``size`` bytes are on their way. A token comes with its last
        byte."""
        self._shown_to += size
        while self._held and self._held[0][1] <= self._shown_to:
            self.ready.append(self._held.popleft())
            self._shown_to -= self.ready[-1][1]

    def divide(self) -> None:
        """Divide where something else than content comes: what is shown of a token belongs before
        it."""
        if self._held and self._shown_to:
            number, size = self._held.popleft()
            self.ready.append((number, self._shown_to))
            self._held.appendleft((number, size - self._shown_to))
            self._shown_to = 0

    def end(self) -> None:
        """Close: no byte follows. The token that a stop string cut has only its bytes before
        that."""
        if self._held and self._shown_to:
            self.ready.append((self._held[0][0], self._shown_to))
        self._held.clear()
