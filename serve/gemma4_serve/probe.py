"""Ask Triton's HTTP service again and again whether it lives."""

from __future__ import annotations

import time
from threading import Event, Thread

from gemma4_runtime.local_http import open_local

__all__ = ["DEAF_S", "LiveProbe"]

DEAF_S = 20.0
"""A server that answered no question for so long has lost its service."""
_EVERY_S = 2.0
"""Seconds between two looks at the server."""
_TIMEOUT_S = 5.0
"""Seconds that the server has to answer."""


class LiveProbe:
    """Asks in a thread until :meth:`close`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._answered = time.monotonic()
        self._stop = Event()
        Thread(target=self._run, name="live-probe", daemon=True).start()

    def deaf(self, now: float) -> str | None:
        """Return why the server is to be given up, or None. ``now``: :func:`time.monotonic`."""
        silent = now - self._answered
        return f"answered nothing for {silent:.0f} s" if silent > DEAF_S else None

    def close(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                with open_local(self._url, timeout=_TIMEOUT_S):
                    self._answered = time.monotonic()
            except OSError:
                continue
