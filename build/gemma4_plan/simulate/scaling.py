"""How many replicas there are: the start of new ones, the end of old ones, their loss."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

import numpy as np

from gemma4_plan.simulate.agenda import Agenda
from gemma4_plan.simulate.fleet import Autoscaling, Failures

__all__ = ["Crowd", "Losses", "Scaler"]

_TOLERANCE = 0.1
"""Kubernetes' autoscaler changes nothing for less than a tenth."""
_UP_PODS, _UP_SHARE, _UP_S = 4, 1.0, 15.0
"""It adds at most so many, or so large a share, in so many seconds (its default)."""


class Crowd(Protocol):
    """The replicas, as their number is changed. ``present`` ones are known to the gateways."""

    present: int
    starting: int
    waiting: int

    @property
    def outstanding(self) -> int: ...
    @property
    def over(self) -> bool: ...
    def begin_start(self, now: float) -> None: ...
    def end_start(self, now: float) -> None: ...
    def cancel_start(self, now: float) -> None: ...
    def retire(self, now: float) -> None: ...
    def lose(self, replica: int, now: float) -> None: ...
    def recover(self, replica: int, now: float) -> None: ...


class _Ready:
    """A replica that starts."""

    turn = 0

    def __init__(self, scaler: Scaler) -> None:
        self._scaler = scaler

    def wake(self, now: float) -> None:
        self._scaler.started(self, now)


class Scaler:
    """Follows :class:`Autoscaling`. ``share``: of the fleet that is simulated, for figures that are
    counts of replicas."""

    def __init__(
        self, options: Autoscaling, slots: int, share: float, crowd: Crowd, agenda: Agenda
    ) -> None:
        self.turn = 0
        self._options = options
        self._running = options.running or 0.75 * slots
        self._least = max(1, round(options.least * share))
        self._most = max(self._least, round(options.most * share))
        self._share = share
        self._crowd = crowd
        self._agenda = agenda
        self._wanted: deque[tuple[float, int]] = deque()
        self._starts: list[_Ready] = []
        self._may_go = 0.0
        agenda.call(options.poll_s, self)

    def wake(self, now: float) -> None:
        """Look at the load, and change the number of replicas."""
        options, crowd = self._options, self._crowd
        if crowd.over:
            return
        self._agenda.call(now + options.poll_s, self)
        current = crowd.present + crowd.starting
        wanted = current
        ratio = max(crowd.outstanding / self._running, crowd.waiting / options.waiting) / current
        if abs(ratio - 1) > _TOLERANCE:
            wanted = math.ceil(ratio * current)
        wanted = min(max(wanted, self._least), self._most)
        self._wanted.append((now, wanted))
        while self._wanted[0][0] < now - options.down_after_s:
            self._wanted.popleft()
        if wanted > current:
            more = max(_UP_PODS * self._share, current * _UP_SHARE) * options.poll_s / _UP_S
            for _ in range(min(wanted - current, max(1, round(more)))):
                self._start(now)
            return
        # The most that was wanted lately; nothing goes before it is known for long enough.
        lately = max(count for _, count in self._wanted) if now >= options.down_after_s else current
        self._may_go = min(
            self._may_go + options.down_per_minute * self._share * options.poll_s / 60,
            max(1.0, options.down_per_minute * self._share),
        )
        while current > lately and self._may_go >= 1:
            self._may_go -= 1
            current -= 1
            if self._starts:
                self._starts.pop().turn += 1
                crowd.cancel_start(now)
            else:
                crowd.retire(now)

    def _start(self, now: float) -> None:
        ready = _Ready(self)
        self._starts.append(ready)
        self._crowd.begin_start(now)
        self._agenda.call(now + self._options.start_s, ready)

    def started(self, ready: _Ready, now: float) -> None:
        """Take a replica in."""
        self._starts.remove(ready)
        self._crowd.end_start(now)


class _Back:
    """A replica that comes back."""

    turn = 0

    def __init__(self, replica: int, crowd: Crowd) -> None:
        self._replica = replica
        self._crowd = crowd

    def wake(self, now: float) -> None:
        self._crowd.recover(self._replica, now)


class Losses:
    """Takes replicas away by chance. Drawn for all that there could be; a draw that meets one that
    is not there is none, which leaves each its own rate."""

    def __init__(
        self, options: Failures, count: int, rng: np.random.Generator, crowd: Crowd, agenda: Agenda
    ) -> None:
        self.turn = 0
        self._options = options
        self._count = count
        self._rng = rng
        self._crowd = crowd
        self._agenda = agenda
        agenda.call(self._gap(), self)

    def _gap(self) -> float:
        return float(self._rng.exponential(self._options.every_s / self._count))

    def wake(self, now: float) -> None:
        """Lose a replica, if it is there."""
        if self._crowd.over:
            return
        self._agenda.call(now + self._gap(), self)
        replica = int(self._rng.integers(self._count))
        if replica < self._crowd.present:
            self._crowd.lose(replica, now)
            self._agenda.call(now + self._options.back_s, _Back(replica, self._crowd))
