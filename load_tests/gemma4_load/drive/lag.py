"""Whether this client itself is the bottleneck."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass

import numpy as np

__all__ = ["ClientLoad", "LagWatch"]

_INTERVAL = 0.02
"""Seconds between two measurements of how late the event loop is."""
_BUSY = 0.95
"""Share of a core above which the client counts as the bottleneck."""

_WAY_OUT = (
    "run it on another machine or with less beside it, lower the load, or allow more with "
    "--max-client-lag"
)


@dataclass(frozen=True, slots=True)
class ClientLoad:
    """``loop_lag_p50`` and ``p99``: seconds that a timer of the event loop fired late, which is how
    late a chunk may be seen. ``cpu``: share of one core that this process used."""

    loop_lag_p50: float
    loop_lag_p99: float
    cpu: float

    def faults(self, send_lag_p99: float | None, limit: float) -> list[str]:
        """Return why the run is invalid; ``limit`` in seconds."""
        found = []
        if self.loop_lag_p99 > limit:
            found.append(
                f"this client saw chunks {self.loop_lag_p99 * 1000:.1f} ms late (p99), more than "
                f"{limit * 1000:g} ms; {_WAY_OUT}"
            )
        if send_lag_p99 is not None and send_lag_p99 > limit:
            found.append(
                f"this client sent {send_lag_p99 * 1000:.1f} ms late (p99), more than "
                f"{limit * 1000:g} ms; {_WAY_OUT}"
            )
        if self.cpu > _BUSY:
            found.append(
                f"this client used {self.cpu:.0%} of the one core that it can use; lower the load, "
                "or share it among several clients"
            )
        return found


class LagWatch:
    """Measures while it is entered (``async with``)."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._task: asyncio.Task[None] | None = None

    async def _watch(self) -> None:
        while True:
            due = time.perf_counter() + _INTERVAL
            await asyncio.sleep(_INTERVAL)
            self._late.append(max(0.0, time.perf_counter() - due))

    @staticmethod
    def _cpu() -> float:
        times = os.times()
        return times.user + times.system

    async def __aenter__(self) -> LagWatch:
        self._began, self._used = time.perf_counter(), self._cpu()
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
        self._spent = time.perf_counter() - self._began
        self._used = self._cpu() - self._used

    def result(self) -> ClientLoad:
        p50, p99 = np.percentile(self._late or [0.0], (50, 99)).tolist()
        return ClientLoad(p50, p99, self._used / self._spent)
