"""What both kinds of simulated engines have: a queue, the requests in it, a prefix cache."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque

from gemma4_plan.simulate.agenda import Agenda
from gemma4_plan.simulate.fleet import Replica
from gemma4_plan.simulate.prefixes import Prefixes
from gemma4_plan.simulate.request import Request
from gemma4_plan.simulate.sink import Sink

__all__ = ["Engine"]


class Engine(ABC):
    """The engine of one replica. Times are seconds of the simulation. ``turn`` is as for
    :class:`~gemma4_plan.simulate.agenda.Actor`; ``requests`` wait or run."""

    def __init__(self, replica: Replica, number: int, agenda: Agenda, sink: Sink) -> None:
        self.turn = 0
        self.number = number
        self.requests: set[Request] = set()
        self.waiting: deque[Request] = deque()
        self._most = replica.slots + replica.max_queued
        self._agenda = agenda
        self._sink = sink
        self._prefixes = Prefixes(replica.prefix_tokens)
        self._forget()

    @property
    @abstractmethod
    def running(self) -> int:
        """Requests that run."""

    @abstractmethod
    def wake(self, now: float) -> None:
        """Do what is due now."""

    @abstractmethod
    def _forget(self) -> None:
        """Begin with nothing that runs."""

    @abstractmethod
    def _come(self, now: float) -> None:
        """Look at the request that was put at the end of the queue."""

    def submit(self, request: Request, now: float) -> bool:
        """Take a request; return False when the queue is full."""
        if len(self.requests) >= self._most:
            return False
        self.requests.add(request)
        self.waiting.append(request)
        self._sink.waiting += 1
        self._come(now)
        return True

    def lose(self, now: float) -> list[Request]:
        """Forget everything; return what was here."""
        lost = sorted(self.requests, key=lambda request: request.arrived)
        self._sink.waiting -= len(self.waiting)
        self.requests.clear()
        self.waiting.clear()
        self._prefixes.clear()
        self._forget()
        self.turn += 1
        return lost
