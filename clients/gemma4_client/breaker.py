"""Stop asking a server that refuses everything."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic

from gemma4_client.errors import CircuitOpenError

__all__ = ["CircuitBreaker"]


class CircuitBreaker:
    """After ``failures`` UNAVAILABLE in a row, requests fail at once with
    :class:`CircuitOpenError` for ``reset_after`` seconds; then one is let through, and its success
    closes the circuit. Thread-safe; several clients of one server may share it."""

    def __init__(
        self,
        failures: int = 20,
        reset_after: float = 2.0,
        now: Callable[[], float] = monotonic,
    ) -> None:
        if failures < 1 or not reset_after > 0:
            raise ValueError(f"{failures=} must be at least 1, {reset_after=} more than 0")
        self._limit = failures
        self._reset_after = reset_after
        self._now = now
        self._lock = Lock()
        self._failed = 0
        self._closed_until: float | None = None

    @property
    def open(self) -> bool:
        """True while requests are refused or on trial."""
        return self._closed_until is not None

    def check(self) -> None:
        """Check before a request. Raises :class:`CircuitOpenError`."""
        if self._closed_until is None:
            return
        with self._lock:
            until = self._closed_until
            if until is None:
                return
            wait = until - self._now()
            if wait > 0:
                raise CircuitOpenError(
                    f"the server was unavailable {self._failed} times in a row; "
                    f"next try in {wait:.1f} s"
                )
            # One request is on trial; when it never reports, the next may try as late as this.
            self._closed_until = self._now() + self._reset_after

    def succeeded(self) -> None:
        """Note that the server answered."""
        if self._failed or self._closed_until is not None:
            with self._lock:
                self._failed = 0
                self._closed_until = None

    def failed(self) -> None:
        """Note that the server was unavailable."""
        with self._lock:
            self._failed += 1
            if self._failed >= self._limit:
                self._closed_until = self._now() + self._reset_after
