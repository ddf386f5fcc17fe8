"""Ask every back end, all the time, whether it can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gemma4_client.concurrency.timeouts import TIMED_OUT

from gemma4_gateway.backends.backend import Backend

__all__ = ["HealthChecker"]

_TIMEOUT_S = 3.0
"""Seconds that a back end has to answer a health check."""


class HealthChecker:
    """One task for each back end. ``on_change`` hears of every back end that came or went,
    ``on_fault`` of an exception that should not be. Two failed checks in a row eject a back end
    that was ready; one that passes brings it back."""

    def __init__(
        self,
        backends: Sequence[Backend],
        *,
        interval: float,
        on_change: Callable[[Backend], None],
        on_fault: Callable[[Backend, Exception], None],
    ) -> None:
        self._backends = backends
        self._interval = interval
        self._on_change = on_change
        self._on_fault = on_fault
        self._wake = {backend.address: asyncio.Event() for backend in backends}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        for backend in self._backends:
            if backend.address not in self._tasks:
                self._tasks[backend.address] = self._task(backend)

    def _task(self, backend: Backend) -> asyncio.Task[None]:
        return asyncio.create_task(self._watch(backend), name=f"health {backend.address}")

    def add(self, backend: Backend) -> None:
        """Watch one more, from now on."""
        wake = self._wake[backend.address] = asyncio.Event()
        wake.set()
        self._tasks[backend.address] = self._task(backend)

    def remove(self, backend: Backend) -> None:
        """Watch it no longer."""
        del self._wake[backend.address]
        task = self._tasks.pop(backend.address, None)
        if task is not None:
            task.cancel()

    def check_now(self, backend: Backend) -> None:
        """Do not wait for the interval: a request has just failed there. Nothing is done for one
        that is no longer watched."""
        backend.suspect = True
        if wake := self._wake.get(backend.address):
            wake.set()

    def eject(self, backend: Backend, reason: str) -> None:
        """Take it out at once: a request found that it cannot answer. The next check that passes
        brings it back."""
        if backend.mark(ready=False, reason=reason):
            self._on_change(backend)
        self.check_now(backend)

    async def first_round(self) -> None:
        """Check all once."""
        await asyncio.gather(*(self._check(backend, final=True) for backend in self._backends))

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, backend: Backend) -> None:
        wake = self._wake[backend.address]
        failed = 0
        while True:
            try:
                await asyncio.wait_for(wake.wait(), self._interval)
            except TIMED_OUT:
                pass
            wake.clear()
            ready = await self._check(backend, final=failed >= 1)
            failed = 0 if ready else failed + 1
            if failed == 1 and backend.ready:
                wake.set()
                await asyncio.sleep(min(0.2, self._interval))

    async def _check(self, backend: Backend, *, final: bool) -> bool:
        try:
            reason = await backend.check(timeout=_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - the next check must come, whatever this one met
            reason = f"its check failed: {type(error).__name__}"
            self._on_fault(backend, error)
        ready = not reason
        if (ready or final) and backend.mark(ready=ready, reason=reason):
            self._on_change(backend)
        return ready
