"""Rates and concurrency of API keys. Pure but for the clock it is given."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from gemma4_gateway.bucket import Bucket
from gemma4_gateway.errors import ApiError, overloaded
from gemma4_gateway.keys import KeyEntry
from gemma4_gateway.settings import Limits

__all__ = ["Bucket", "Gate", "limited", "rates_of"]


@dataclass(slots=True)
class _Usage:
    running: int = 0
    rates: tuple[int, int] = (0, 0)
    requests: Bucket | None = None
    tokens: Bucket | None = None


_LEAVING = 64
"""Requests that were refused to make room and are about to leave."""


class Gate:
    """``enter`` before the work, ``leave`` after it, always. ``make_room`` is asked for room for a
    key when all places are taken, and says whether somebody leaves."""

    def __init__(
        self,
        limits: Limits,
        now: Callable[[], float] = time.monotonic,
        make_room: Callable[[KeyEntry], bool] = lambda _key: False,
    ) -> None:
        self._limits = limits
        self._now = now
        self._make_room = make_room
        self._running = 0
        self._usage: dict[str, _Usage] = {}

    @property
    def running(self) -> int:
        return self._running

    def enter(self, key: KeyEntry) -> None:
        """Enter a request. Raises :class:`~gemma4_gateway.errors.ApiError` 429, and then nothing
        was entered."""
        usage = self._usage_of(key)
        most = rates_of(key, self._limits)[2]
        if most and usage.running >= most:
            raise limited("max_running", key, self._limits, 1)
        now = self._now()
        for bucket, unit in ((usage.requests, "requests"), (usage.tokens, "tokens")):
            wait = bucket.wait(now) if bucket else 0.0
            if wait:
                raise limited(f"{unit}_per_minute", key, self._limits, wait)
        over = self._running - self._limits.max_running
        if over >= 0 and not (over < _LEAVING and self._make_room(key)):
            raise overloaded(
                f"{self._running} requests run, which is all this gateway takes; retry later",
                code="gateway_full",
                retry_after=1,
            )
        if usage.requests:
            usage.requests.spend(1)
        usage.running += 1
        self._running += 1

    def undo(self, key: KeyEntry) -> None:
        """Take back an ``enter``, of a request that was refused after it."""
        usage = self._usage_of(key)
        usage.running -= 1
        self._running -= 1
        if usage.requests:
            usage.requests.spend(-1)

    def leave(self, key: KeyEntry, *, tokens: int) -> None:
        """Leave with what was used. ``tokens``: prompt and completion."""
        usage = self._usage_of(key)
        usage.running -= 1
        self._running -= 1
        if usage.tokens:
            usage.tokens.wait(self._now())
            usage.tokens.spend(tokens)

    def _usage_of(self, key: KeyEntry) -> _Usage:
        usage = self._usage.setdefault(key.name, _Usage())
        rates = rates_of(key, self._limits)[:2]
        if rates != usage.rates:  # a new key, or its entry has changed
            now = self._now()
            usage.rates = rates
            usage.requests, usage.tokens = (Bucket(r, now) if r else None for r in rates)
        return usage


def _own(of_key: int | None, default: int) -> int:
    return default if of_key is None else of_key


def rates_of(key: KeyEntry, limits: Limits) -> tuple[int, int, int]:
    """Return requests and tokens a minute, and requests at once, of a key; 0 is no limit."""
    return (
        _own(key.requests_per_minute, limits.key_requests_per_minute),
        _own(key.tokens_per_minute, limits.key_tokens_per_minute),
        _own(key.max_running, limits.key_running),
    )


def limited(limit: str, key: KeyEntry, limits: Limits, wait: float) -> ApiError:
    """429 for a limit of a key. ``wait``: seconds until there is room."""
    requests, tokens, running = rates_of(key, limits)
    what = {
        "max_running": f"{running} requests of this key run already",
        "requests_per_minute": f"{requests} requests a minute are used up",
        "tokens_per_minute": f"{tokens} tokens a minute are used up",
    }[limit]
    seconds = math.ceil(wait)
    return overloaded(f"{what}; retry in {seconds} s", code=limit, retry_after=seconds)
