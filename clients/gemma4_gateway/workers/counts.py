"""What the keys of all workers have used and run, in memory that these share.

A request of any worker reads and writes it under one lock, for some microseconds. The lock is
fcntl(2)'s, which Linux takes back from a process that is killed; a semaphore, as multiprocessing
has it, would be held forever. Memory of zeros means that nothing was used, so a worker that is
killed between two writes leaves a number too low, never one that bars a key.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

from gemma4_gateway.errors import overloaded

__all__ = ["ALL", "Counts", "Spent"]

ALL = 0
"""The slot of all keys together."""
_SLOTS = 65_536
"""Names of keys that are told apart, one slot for all included. A request compares its key with
every entry of the key file, which gets slow long before."""


class Spent:
    """What was taken out of one kind of bucket, by slot, and when that was so (seconds of
    :func:`time.monotonic`, which is the same clock in all processes)."""

    def __init__(self, amounts: memoryview[float], times: memoryview[float]) -> None:
        self._amounts, self._times = amounts, times

    def get(self, slot: int) -> tuple[float, float]:
        return float(self._amounts[slot]), float(self._times[slot])

    def put(self, slot: int, amount: float, at: float) -> None:
        self._amounts[slot], self._times[slot] = amount, at


class Counts:
    """Made before the first worker is forked. Call everything but :meth:`own` within
    :meth:`lock`."""

    def __init__(self, workers: int, *, slots: int = _SLOTS) -> None:
        self._workers = workers
        self._slots = slots
        sizes = [8 * slots] * 5 + [8 * slots * workers]
        self._file = os.memfd_create("gemma4-limits")
        os.ftruncate(self._file, sum(sizes))
        memory = memoryview(mmap.mmap(self._file, sum(sizes)))
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        parts = [memory[s : s + size] for s, size in zip(starts, sizes, strict=True)]
        self._names = parts[0].cast("Q")
        self.requests = Spent(parts[1].cast("d"), parts[2].cast("d"))
        self.tokens = Spent(parts[3].cast("d"), parts[4].cast("d"))
        self._running = parts[5].cast("q")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep all other processes out."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def slot(self, name: str) -> int:
        """Return the slot of a key, from its first use on. Raises
        :class:`~gemma4_gateway.errors.ApiError` 429 when there is none left."""
        wanted = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") or 1
        for step in range(self._slots - 1):
            slot = 1 + (wanted + step) % (self._slots - 1)
            if self._names[slot] == 0:
                self._names[slot] = wanted
            if self._names[slot] == wanted:
                return slot
        raise overloaded(
            f"the limits of {self._slots - 1} keys are kept, which is all that the workers of this "
            "gateway share; start it again, which forgets those that are gone",
            code="gateway_full",
            retry_after=60,
        )

    def running(self, slot: int) -> int:
        """Return the requests that run, of all workers."""
        return sum(self._running[slot :: self._slots].tolist())

    def own(self, worker: int) -> int:
        """Return the requests that run in one worker."""
        return int(self._running[worker * self._slots + ALL])

    def add(self, worker: int, slot: int, change: int) -> None:
        """Change how many requests run in one worker."""
        self._running[worker * self._slots + slot] += change

    def forget(self, worker: int) -> None:
        """Forget the requests of a worker that has ended. Locks by itself."""
        first = worker * self._slots
        with self.lock():
            column = self._running[first : first + self._slots].cast("B")
            column[:] = bytes(len(column))
