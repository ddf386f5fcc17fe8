"""Follow the back ends of a DNS name as they come and go."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gemma4_client.concurrency.timeouts import TIMED_OUT

from gemma4_gateway.backends.backend import Backend
from gemma4_gateway.backends.health import HealthChecker
from gemma4_gateway.backends.names import DnsName, resolve

__all__ = ["Discovery", "Followed"]

_FIRST_ROUND_S = 3.0
_NO_ADDRESS = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
"""What the resolver says when a DNS server answered that the name has no address."""


@dataclass(slots=True)
class Followed:
    """One name. ``addresses`` (``host:port``) are the last that were found; ``error`` says why the
    last lookup gave none, "" when it gave some; ``failures`` counts lookups without an answer.
    ``looked_up`` is set once a lookup has ended, with addresses or without."""

    name: DnsName
    addresses: frozenset[str] = frozenset()
    error: str = "not looked up yet"
    failures: int = 0
    backends: dict[str, Backend] = field(default_factory=dict)
    looked_up: asyncio.Event = field(default_factory=asyncio.Event)


class Discovery:
    """Keeps ``backends`` (the list that the router chooses from) like the addresses of ``names``.

    A new address becomes a back end, which gets requests when its health check passes. A back end
    whose address has gone gets no new request; its connections are closed when nothing runs on it.
    A lookup that fails changes nothing. When DNS answers that a name has no address at all, back
    ends that pass their health check stay, since an error in DNS is likelier than that.

    ``on_event`` gets the events for the log: what, and its fields. ``on_removed`` gets each back
    end that is closed, ``on_fault`` an exception that should not be. ``lookup`` gives ``host:port``
    of each address, or raises :class:`OSError`. ``make`` makes the back end of one."""

    def __init__(
        self,
        names: Sequence[DnsName],
        backends: list[Backend],
        health: HealthChecker,
        *,
        interval: float,
        on_event: Callable[..., Any],
        on_removed: Callable[[Backend], Any],
        on_fault: Callable[[Exception], Any],
        lookup: Callable[[DnsName], Awaitable[Sequence[str]]] = resolve,
        make: Callable[[str], Backend] = Backend,
    ) -> None:
        self.names = [Followed(name) for name in names]
        self._backends = backends
        self._health = health
        self._interval = interval
        self._event = on_event
        self._removed = on_removed
        self._fault = on_fault
        self._lookup = lookup
        self._make = make
        self._leaving: dict[str, Backend] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Look every name up, with some seconds of patience, and go on doing so."""
        self._tasks = [
            asyncio.create_task(self._follow(followed), name=f"dns {followed.name}")
            for followed in self.names
        ]
        first_round = asyncio.gather(*(followed.looked_up.wait() for followed in self.names))
        with suppress(*TIMED_OUT):
            await asyncio.wait_for(first_round, _FIRST_ROUND_S)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, followed: Followed) -> None:
        while True:
            try:
                await self.look(followed)
                followed.looked_up.set()
                await self.close_idle()
            except Exception as error:  # noqa: BLE001 - the next lookup must come, whatever this one met
                self._fault(error)
            await asyncio.sleep(self._interval)

    async def look(self, followed: Followed) -> None:
        """One lookup of one name, and what follows from it."""
        try:
            found = frozenset(await self._lookup(followed.name))
        except OSError as error:
            self._failed(followed, error)
            return
        if followed.error:
            self._event("dns_answers", name=str(followed.name), addresses=len(found))
        followed.error = ""
        followed.addresses = found
        for address in sorted(found - followed.backends.keys()):
            self._add(followed, address)
        for address in sorted(followed.backends.keys() - found):
            self._leave(followed, address, "its address is no longer in DNS")

    def _failed(self, followed: Followed, error: OSError) -> None:
        reason = error.strerror or str(error)
        if reason != followed.error:
            self._event(
                "dns_failed", level="warning", name=str(followed.name), reason=reason,
                kept=len(followed.backends),
            )  # fmt: skip
        followed.error = reason
        if not isinstance(error, socket.gaierror) or error.errno not in _NO_ADDRESS:
            followed.failures += 1
        else:
            followed.addresses = frozenset()
            for address, backend in sorted(followed.backends.items()):
                if not backend.ready:
                    self._leave(followed, address, "the name has no address in DNS")

    def _add(self, followed: Followed, address: str) -> None:
        backend = self._leaving.pop(address, None)
        if backend is None:
            known = {b.address: b for b in self._backends}
            if address in known:  # given on the command line, or found by another name
                return
            backend = self._make(address)
            self._backends.append(backend)
        followed.backends[address] = backend
        backend.reason = "not checked yet"
        self._health.add(backend)
        self._event("backend_found", backend=address, name=str(followed.name))

    def _leave(self, followed: Followed, address: str, reason: str) -> None:
        backend = followed.backends.pop(address)
        self._health.remove(backend)
        backend.mark(ready=False, reason=reason)
        self._leaving[address] = backend
        self._event("backend_left", backend=address, reason=reason, running=backend.outstanding)

    async def close_idle(self) -> None:
        """Close those that have left and have nothing running any more."""
        for address, backend in list(self._leaving.items()):
            if backend.idle:
                del self._leaving[address]
                self._backends.remove(backend)
                self._removed(backend)
                await backend.close()
