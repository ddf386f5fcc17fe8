"""The words of each server, measured once however many users begin at the same moment."""

from __future__ import annotations

from gevent.lock import Semaphore

from gemma4_load.targets.blocking import BlockingTarget, measure_words
from gemma4_load.workloads.words import Words

__all__ = ["MeasuredWords"]


class MeasuredWords:
    """For the greenlets of one process: those that begin while one measures wait for its result."""

    def __init__(self) -> None:
        self._one_at_a_time = Semaphore()
        self._found: dict[str, Words] = {}

    def of(self, host: str, target: BlockingTarget) -> Words:
        """Return the words of ``host``, which ``target`` asks. Raises :class:`TargetError`; the
        next user then asks again."""
        with self._one_at_a_time:
            if host not in self._found:
                self._found[host] = measure_words(target)
            return self._found[host]
