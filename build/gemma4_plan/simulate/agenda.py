"""What happens next."""

from __future__ import annotations

import heapq
from typing import Protocol

__all__ = ["Actor", "Agenda"]


class Actor(Protocol):
    """``turn`` is what the actor's last entry was made with; older entries are void."""

    turn: int

    def wake(self, now: float) -> None:
        """Do what is due."""
        ...


class Agenda:
    """Entries in the order of their time, equal times in the order they were made."""

    __slots__ = ("_count", "heap", "steps")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, int, Actor]] = []
        self._count = 0
        self.steps = 0

    def call(self, time: float, actor: Actor) -> None:
        """Wake ``actor`` at ``time``, and not at its times before."""
        self._count += 1
        actor.turn += 1
        heapq.heappush(self.heap, (time, self._count, actor.turn, actor))

    def next_time(self) -> float | None:
        """Return the time of the next entry; None when there is none. Void entries are removed."""
        heap = self.heap
        while heap:
            time, _, turn, actor = heap[0]
            if turn == actor.turn:
                return time
            heapq.heappop(heap)
        return None

    def run_next(self) -> None:
        """Wake the next actor; :meth:`next_time` has said when."""
        time, _, _, actor = heapq.heappop(self.heap)
        self.steps += 1
        actor.wake(time)
