"""The connections to one Triton server, over TLS where that is wanted.

The files of TLS are read when a connection is made, so a renewed certificate needs new ones: the
next requests use them, and those under way end on the former.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gemma4_client import TLS, AsyncClient

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["Link", "check_tls_files"]

_KEPT_S = 3600.0
"""Seconds that former connections are kept for the requests on them, at most."""
Stamp = tuple[tuple[int, int, int], ...]


def check_tls_files(tls: TLS) -> None:
    """Raise :class:`OSError` (:class:`ssl.SSLError` among its kinds) for files that cannot be
    used."""
    context = ssl.create_default_context(cafile=None if tls.ca is None else str(tls.ca))
    if tls.cert is not None:
        # An empty password, or OpenSSL would ask for one in the terminal.
        context.load_cert_chain(tls.cert, tls.key, password="")


class Link:
    """``client`` is for answers, ``plain`` for what must not wait behind them: health, tokens.
    ``tracer`` makes the spans of answers."""

    def __init__(
        self,
        address: str,
        tls: TLS | None = None,
        now: Callable[[], float] = time.monotonic,
        *,
        tracer: Tracer | None = None,
    ) -> None:
        self._address = address
        self._tls = tls
        self._now = now
        self._stamp = _stamp(tls)
        self._former: list[tuple[float, AsyncClient]] = []
        self._tracer = tracer
        self.client, self.plain = self._connect(tracer), self._connect()

    def _connect(self, tracer: Tracer | None = None) -> AsyncClient:
        """Connect without retries of its own: the router knows the other back ends."""
        return AsyncClient(self._address, tls=self._tls, retry=None, breaker=None, tracer=tracer)

    async def renew(self, *, idle: bool) -> bool:
        """Connect anew when a file has changed and all of them can be used; True then. ``idle``:
        nothing runs, so that former connections may be closed."""
        await self._close_former(idle=idle)
        stamp = _stamp(self._tls)
        if self._tls is None or stamp == self._stamp:
            return False
        try:
            check_tls_files(self._tls)
        except OSError:
            return False  # a renewal writes several files; the next look may find them whole
        self._stamp = stamp
        self._former += [(self._now(), self.client), (self._now(), self.plain)]
        self.client, self.plain = self._connect(self._tracer), self._connect()
        return True

    async def _close_former(self, *, idle: bool) -> None:
        kept = [
            (since, c) for since, c in self._former if not idle and self._now() - since < _KEPT_S
        ]
        over = [c for since, c in self._former if (since, c) not in kept]
        self._former = kept
        for client in over:
            await client.close()

    async def close(self) -> None:
        for client in (self.client, self.plain, *(client for _, client in self._former)):
            await client.close()


def _stamp(tls: TLS | None) -> Stamp:
    """Return what differs when a file was written anew, or another took its place."""
    found = []
    for path in () if tls is None else (tls.ca, tls.cert, tls.key):
        try:
            status = Path(path).stat() if path is not None else None
        except OSError:
            status = None
        found.append((status.st_ino, status.st_mtime_ns, status.st_size) if status else (0, 0, 0))
    return tuple(found)
