"""Limits that hold for the workers of a gateway together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gemma4_gateway.keys import KeyEntry
from gemma4_gateway.limits import Gate
from gemma4_gateway.settings import Limits
from gemma4_gateway.workers.counts import ALL, Counts

__all__ = ["SharedGate"]


class SharedGate(Gate):
    """Decides as :class:`~gemma4_gateway.limits.Gate` does, by what all workers have counted.
    ``worker``: the number of this one."""

    def __init__(
        self,
        limits: Limits,
        counts: Counts,
        worker: int,
        *,
        make_room: Callable[[KeyEntry], bool] = lambda _key: False,
    ) -> None:
        super().__init__(limits, make_room=make_room)
        self._counts = counts
        self._worker = worker

    @property
    def running(self) -> int:
        """Requests in this worker."""
        return self._counts.own(self._worker)

    def enter(self, key: KeyEntry) -> None:
        with self._shared(key):
            super().enter(key)

    def undo(self, key: KeyEntry) -> None:
        with self._shared(key):
            super().undo(key)

    def leave(self, key: KeyEntry, *, tokens: int) -> None:
        with self._shared(key):
            super().leave(key, tokens=tokens)

    @contextmanager
    def _shared(self, key: KeyEntry) -> Iterator[None]:
        """Take what all have counted, and give back what became of it."""
        counts = self._counts
        with counts.lock():
            slot = counts.slot(key.name)
            usage = self._usage_of(key)
            self._running = running = counts.running(ALL)
            usage.running = of_key = counts.running(slot)
            buckets = ((usage.requests, counts.requests), (usage.tokens, counts.tokens))
            for bucket, spent in buckets:
                if bucket:
                    bucket.restore(*spent.get(slot))
            try:
                yield
            finally:
                counts.add(self._worker, ALL, self._running - running)
                counts.add(self._worker, slot, usage.running - of_key)
                for bucket, spent in buckets:
                    if bucket:
                        spent.put(slot, bucket.spent, bucket.at)
