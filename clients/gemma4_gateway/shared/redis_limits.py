"""Rates and concurrency of keys, counted in Redis for all gateways together.

While Redis does not answer, the limits of this gateway alone hold, which are checked first in any
case. So what is shared can only refuse more, and a lost Redis costs nobody an answer.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from gemma4_client.concurrency.timeouts import TIMED_OUT
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gemma4_gateway.access_log import Log
from gemma4_gateway.keys import KeyEntry
from gemma4_gateway.limits import limited, rates_of
from gemma4_gateway.metrics import SharedMetrics
from gemma4_gateway.settings import Limits
from gemma4_gateway.shared.scripts import ENTER, LEAVE
from gemma4_gateway.shared.source import answer_seconds

__all__ = ["Lease", "RedisLimits"]

_CONNECTIONS = 8
"""Connections to Redis: an answer takes a tenth of a millisecond, so few serve a burst."""
_PAUSE_S = 1.0
"""Seconds in which it is not asked after it failed."""
_KEPT_S = 30.0
"""Seconds after which a request that runs is forgotten, unless it is said again."""
_AGAIN_S = 10.0
"""Seconds between two times that the requests that run are said again."""
_MOST_TO_TELL = 10_000
"""Ends of requests that are kept for Redis while it does not answer."""
_AT_ONCE = 200
"""Ends of requests, or requests that run, that are told in one go."""
_PREFIX = "gemma4:limits:"


@dataclass(frozen=True, slots=True)
class Lease:
    """One request that was counted in Redis. ``limits``: of its key, as then."""

    key: str
    id: str
    requests: int
    tokens: int
    running: int

    @property
    def names(self) -> list[str]:
        """The keys in Redis; the braces keep them together in a cluster."""
        base = f"{_PREFIX}{{{self.key}}}"
        return [base, f"{base}:running"]


class RedisLimits:
    """``start`` and ``stop`` in the event loop it serves in. ``url``: where Redis is, as
    :func:`~gemma4_gateway.shared.source.read_url` returns it."""

    def __init__(
        self,
        url: str,
        limits: Limits,
        metrics: SharedMetrics,
        log: Log,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._metrics = metrics
        self._log = log
        self._now = now
        self._answer_s = answer_seconds(url)
        pool = BlockingConnectionPool.from_url(
            url,
            socket_timeout=self._answer_s,
            socket_connect_timeout=self._answer_s,
            retry=Retry(NoBackoff(), 0),
            max_connections=_CONNECTIONS,
            timeout=self._answer_s,
        )
        self._redis = Redis.from_pool(pool)
        self._enter = self._redis.register_script(ENTER)
        self._leave = self._redis.register_script(LEAVE)
        self._running: dict[str, Lease] = {}
        self._ended: deque[tuple[Lease, int]] = deque(maxlen=_MOST_TO_TELL)
        self._something = asyncio.Event()
        self._pause_until = float("-inf")
        self._up: bool | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Ask Redis once, and begin to tell it what ends and what runs."""
        try:
            await asyncio.wait_for(cast(Any, self._redis.ping()), self._answer_s)
        except (RedisError, OSError, *TIMED_OUT) as error:
            self._failed(error)
        else:
            self._worked()
        self._tasks = [
            asyncio.create_task(self._tell_ends(), name="limits: ends"),
            asyncio.create_task(self._say_again(), name="limits: running"),
        ]

    async def stop(self) -> None:
        """Tell what has ended, if Redis answers, and close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(RedisError, OSError, *TIMED_OUT):
            while self._ended and self._now() >= self._pause_until:
                await self._tell_some()
        await self._redis.aclose()

    async def enter(self, key: KeyEntry) -> Lease | None:
        """Count a request. None: the key has no limit, or Redis does not answer. Raises
        :class:`~gemma4_gateway.errors.ApiError` 429."""
        requests, tokens, running = rates_of(key, self._limits)
        if not (requests or tokens or running) or self._now() < self._pause_until:
            return None
        lease = Lease(key.name, uuid.uuid4().hex, requests, tokens, running)
        arguments: list[str | float] = [requests, tokens, running, lease.id, _KEPT_S]
        if self._up is False:  # one request finds out; the others do not wait for it
            self._pause_until = self._now() + _PAUSE_S
        try:
            limit, wait = await asyncio.wait_for(
                cast(Any, self._enter(keys=lease.names, args=arguments)), self._answer_s
            )
        except (RedisError, OSError, *TIMED_OUT) as error:
            self._failed(error)
            return None
        self._worked()
        if limit:
            raise limited(limit.decode(), key, self._limits, float(wait))
        self._running[lease.id] = lease
        return lease

    def leave(self, lease: Lease, *, tokens: int) -> None:
        """Note the end of a request, and the tokens that it used; Redis is told soon."""
        self._running.pop(lease.id, None)
        if len(self._ended) == _MOST_TO_TELL:
            self._metrics.lost.inc()
        self._ended.append((lease, tokens))
        self._something.set()

    async def _tell_ends(self) -> None:
        while True:
            await self._something.wait()
            try:
                while self._ended:
                    await self._tell_some()
                self._something.clear()
            except (RedisError, OSError, *TIMED_OUT) as error:
                self._failed(error)
                await asyncio.sleep(_PAUSE_S)

    async def _tell_some(self) -> None:
        some = [self._ended[i] for i in range(min(_AT_ONCE, len(self._ended)))]
        pipeline = self._redis.pipeline(transaction=False)
        for lease, tokens in some:
            await self._leave(
                keys=lease.names, args=[lease.tokens, tokens, lease.id], client=pipeline
            )
        await asyncio.wait_for(pipeline.execute(), self._answer_s)
        for _ in some:
            self._ended.popleft()

    async def _say_again(self) -> None:
        while True:
            await asyncio.sleep(_AGAIN_S)
            leases = [lease for lease in self._running.values() if lease.running]
            try:
                for start in range(0, len(leases), _AT_ONCE):
                    await self._say_some(leases[start : start + _AT_ONCE])
            except (RedisError, OSError, *TIMED_OUT) as error:
                self._failed(error)

    async def _say_some(self, leases: list[Lease]) -> None:
        seconds, micros = await asyncio.wait_for(cast(Any, self._redis.time()), self._answer_s)
        until = seconds + micros / 1e6 + _KEPT_S
        pipeline = self._redis.pipeline(transaction=False)
        for lease in leases:
            if lease.id in self._running:
                pipeline.zadd(lease.names[1], {lease.id: until})
                pipeline.expire(lease.names[1], math.ceil(_KEPT_S) + 1)
        await asyncio.wait_for(pipeline.execute(), self._answer_s)

    def _worked(self) -> None:
        if self._up is not True:
            self._log.event("limits_shared")
        self._up, self._pause_until = True, float("-inf")
        self._metrics.up.set(1)

    def _failed(self, error: BaseException) -> None:
        self._pause_until = self._now() + _PAUSE_S
        reason = type(error).__name__
        self._metrics.errors.labels(reason_of(error)).inc()
        if self._up is not False:
            self._log.event("limits_not_shared", level="error", reason=reason, error=_words(error))
        self._up = False
        self._metrics.up.set(0)


def _words(error: BaseException) -> str:
    """Return what Redis or the system said, which has addresses in it and no password."""
    return str(error)[:200]


def reason_of(error: BaseException) -> str:
    """Return one of a few words, for a label."""
    names = {cls.__name__ for cls in type(error).__mro__}
    if "TimeoutError" in names:
        return "timeout"
    if names & {"AuthenticationError", "NoPermissionError", "AuthorizationError"}:
        return "access"
    if names & {"ConnectionError", "OSError"}:
        return "connection"
    return "refused"
