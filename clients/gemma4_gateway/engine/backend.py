"""One Triton server: how busy it is, whether it answers."""

from __future__ import annotations

import time
from collections.abc import Callable

from gemma4_client import AsyncClient, ServerInfo

from gemma4_gateway.engine.tokenizer import TokenTable

__all__ = ["Backend", "Lease"]


def _connect(address: str) -> AsyncClient:
    """Without retries of its own: the router knows the other back ends."""
    return AsyncClient(address, retry=None, breaker=None)


class Lease:
    """One request on one back end. ``release`` once; it is safe to call again."""

    __slots__ = ("_released", "backend")

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._released = False

    def release(self) -> None:
        if not self._released:
            self._released = True
            self.backend.outstanding -= 1


class Backend:
    """``ready``: the last health check passed. ``avoid_until``: seconds of ``now``; before it,
    other back ends are preferred. ``info`` stays None until the engine has named itself.
    ``client`` is for answers, ``plain`` for what must not wait behind them: health, tokens."""

    def __init__(self, address: str, now: Callable[[], float] = time.monotonic) -> None:
        self.address = address
        self.ready = False
        self.reason = "not checked yet"
        self.outstanding = 0
        self.failures = 0
        self.ejections = 0
        self.avoid_until = 0.0
        self.info: ServerInfo | None = None
        self._now = now
        self.client = _connect(address)
        self.plain = _connect(address)
        self.tokens = TokenTable(self.plain)

    @property
    def avoided(self) -> bool:
        return self._now() < self.avoid_until

    def lease(self) -> Lease:
        """Counts until it is released."""
        self.outstanding += 1
        return Lease(self)

    async def answers(self, *, timeout: float) -> bool:
        """Ask the server whether it is ready."""
        return await self.plain.ready(timeout=timeout)

    def succeeded(self) -> None:
        """A first token came."""
        self.failures = 0

    def failed(self, reason: str, *, pause: float) -> None:
        """A request was refused or lost before its first token: prefer others for ``pause``
        seconds, doubled with each failure in a row up to 32 times."""
        self.failures += 1
        self.reason = reason
        self.avoid_until = self._now() + pause * 2 ** min(self.failures - 1, 5)

    def mark(self, *, ready: bool, reason: str = "") -> bool:
        """What a health check found; true when that is news."""
        changed = ready != self.ready
        if changed and not ready:
            self.ejections += 1
            self.info = None
        if ready:
            if changed:
                self.failures, self.avoid_until = 0, 0.0
            reason = ""
        self.ready, self.reason = ready, reason
        return changed

    async def close(self) -> None:
        await self.client.close()
        await self.plain.close()
