"""Which replica a gateway sends a request to: :func:`gemma4_gateway.backends.affinity.choose`, for
thousands of replicas.

The gateway ranks back ends by a hash of the request's head and their address. Here a jump hash
prefers one (J. Lamping and E. Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014),
whose choices are spread alike: even, independent from head to head, the same for one head, and a
replica that comes or goes moves only its own share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["LOOK_EVERY_S", "Router", "jump", "jumps"]

_MASK = 2**64 - 1
_FACTOR = 2862933555777941757
_OUT = 1 << 40
"""Requests that a replica that takes none seems to have."""
LOOK_EVERY_S = 2.0
"""As in gemma4_gateway.backends.backend: seconds after which a back end is asked what it has."""
_OVERLOAD_PAUSE_S = 0.1
"""As in gemma4_gateway.backends.router: a full replica is avoided, twice as long each time."""
_MOST_DOUBLINGS = 5
"""Of that pause."""


def jump(key: int, count: int) -> int:
    """Return the preferred one of ``count`` replicas."""
    found, following = -1, 0
    while following < count:
        found = following
        key = (key * _FACTOR + 1) & _MASK
        following = int((found + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return found


def jumps(keys: npt.NDArray[np.uint64], count: int) -> list[int]:
    """Return :func:`jump` of each key."""
    keys = keys.copy()
    found = np.zeros(len(keys), dtype=np.int64)
    active = np.arange(len(keys))
    following = np.zeros(len(keys), dtype=np.int64)
    with np.errstate(over="ignore"):
        while len(active):
            found[active] = following[active]
            keys[active] = keys[active] * np.uint64(_FACTOR) + np.uint64(1)
            shifted = (keys[active] >> np.uint64(33)).astype(np.float64) + 1
            reached = (found[active] + 1) * (2.0**31 / shifted)
            following[active] = np.minimum(reached, count).astype(np.int64)
            active = active[following[active] < count]
    return [int(replica) for replica in found]


class Router:
    """One gateway's view of ``count`` replicas, of which the first :attr:`present` are known to it.
    A replica that is not ready, or that is going, gets nothing. ``loads``: the requests of all
    gateways at each replica, at which it looks every two seconds from ``phase`` on; None where it
    is the only gateway. ``salt``: bits by which each gateway chooses another one of equally busy
    replicas."""

    def __init__(
        self,
        count: int,
        imbalance: int,
        *,
        loads: Sequence[int] | None = None,
        phase: float = 0.0,
        salt: int = 0,
    ) -> None:
        self.outstanding = [0] * count
        self._shown: list[int] = [_OUT] * count  # what those that take requests seem to have
        self._open = [False] * count
        self._loads = loads
        self._elsewhere = [0] * count
        self._salt = salt
        self._next_look = math.inf if loads is None else phase
        self._imbalance = imbalance
        self._failures = [0] * count
        self._avoided: dict[int, float] = {}

    def open(self, replica: int) -> None:
        """Send requests there from now on."""
        self._open[replica] = True
        self._shown[replica] = self.outstanding[replica] + self._elsewhere[replica]
        self._failures[replica] = 0
        self._avoided.pop(replica, None)

    def close(self, replica: int) -> None:
        """Send none there."""
        self._open[replica] = False
        self._shown[replica] = _OUT

    def lease(self, replica: int) -> None:
        self.outstanding[replica] += 1
        self._shown[replica] += 1

    def release(self, replica: int) -> None:
        self.outstanding[replica] -= 1
        self._shown[replica] -= 1

    def succeeded(self, replica: int) -> None:
        """Note that a first token came."""
        self._failures[replica] = 0

    def refused(self, replica: int, now: float) -> None:
        """Note that its queue was full."""
        failures = self._failures[replica]
        self._failures[replica] += 1
        pause = _OVERLOAD_PAUSE_S * 2 ** min(failures, _MOST_DOUBLINGS)
        self._avoided[replica] = now + pause

    def _look(self, now: float) -> None:
        """Take what the replicas say that they have."""
        assert self._loads is not None
        self._next_look += LOOK_EVERY_S * (1 + (now - self._next_look) // LOOK_EVERY_S)
        for replica, load in enumerate(self._loads):
            self._elsewhere[replica] = load - self.outstanding[replica]
            self._shown[replica] = load if self._open[replica] else _OUT

    def pick(
        self, preferred: int, key: int, present: int, now: float, tried: frozenset[int]
    ) -> int | None:
        """Return the replica that gets a request; None when none is left. ``preferred`` is
        :func:`jump` of ``key`` over the ``present`` ones."""
        if now >= self._next_look:
            self._look(now)
        shown = self._shown
        if not self._avoided and not tried:
            if shown[preferred] <= self._imbalance:
                return preferred
            return self._balanced(preferred, key, present, shown)
        for replica, until in list(self._avoided.items()):
            if until <= now:
                del self._avoided[replica]
        shown = list(shown[:present])
        for replica in tried:
            shown[replica] = _OUT
        calm = list(shown)
        for replica in self._avoided:
            if replica < present:
                calm[replica] = _OUT
        return self._balanced(preferred, key, present, calm if min(calm) < _OUT // 2 else shown)

    def _balanced(self, preferred: int, key: int, present: int, shown: list[int]) -> int | None:
        least = min(shown[:present]) if present < len(shown) else min(shown)
        if least >= _OUT // 2:
            return None
        while shown[preferred] >= _OUT // 2:  # not there: the next in its ranking
            key = (key * _FACTOR + 1) & _MASK
            preferred = jump(key ^ (key >> 29), present)
        if shown[preferred] - least <= self._imbalance:
            return preferred
        # One of the equally busy ones, as far from the preferred as chance has it.
        first = math.floor(((key ^ self._salt) >> 11) / 2**53 * present)
        try:
            return shown.index(least, first, present)
        except ValueError:
            return shown.index(least, 0, present)
