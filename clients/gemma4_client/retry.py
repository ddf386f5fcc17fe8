"""When a request is sent again: the server provably never began it, within limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any

import tenacity

from gemma4_client.breaker import CircuitBreaker
from gemma4_client.errors import CircuitOpenError, Gemma4Error, UnavailableError

__all__ = ["Guard", "RetryBudget", "RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Sent again is a request that the server refused or that never reached it
    (:attr:`UnavailableError.refused`); one whose connection broke after it was sent is not, since
    the server may have begun it, or died of it. Only the question which engine answers is asked
    again in both cases.

    At most ``attempts`` in all. The wait before attempt n + 1 is random between 0 and
    ``first_delay`` * 2**n seconds, at most ``max_delay`` (full jitter). All retries of a client
    together are at most ``budget_ratio`` of its requests, after ``budget_reserve`` that are free:
    an overloaded server is not asked three times as much."""

    attempts: int = 3
    first_delay: float = 0.1
    max_delay: float = 2.0
    budget_ratio: float = 0.1
    budget_reserve: int = 10

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts={self.attempts} must be at least 1")
        for name in ("first_delay", "max_delay", "budget_ratio", "budget_reserve"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")


class RetryBudget:
    """Tokens: each request earns ``ratio`` of one, each retry costs one; ``reserve`` is the start
    and the most that is kept. Thread-safe."""

    def __init__(self, ratio: float, reserve: int) -> None:
        self._ratio = ratio
        self._most = float(reserve)
        self._tokens = float(reserve)
        self._lock = Lock()

    def earn(self) -> None:
        with self._lock:
            self._tokens = min(self._most, self._tokens + self._ratio)

    def take(self) -> bool:
        """Return False when there is none left."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


def _unavailable(error: BaseException) -> bool:
    return isinstance(error, UnavailableError) and not isinstance(error, CircuitOpenError)


def _never_begun(error: BaseException) -> bool:
    return _unavailable(error) and isinstance(error, UnavailableError) and error.refused


class Guard:
    """The retries and the breaker of one client. Thread-safe."""

    def __init__(
        self,
        policy: RetryPolicy | None,
        breaker: CircuitBreaker | None,
        on_unavailable: Callable[[], None] = lambda: None,
    ) -> None:
        self._policy = policy or RetryPolicy(attempts=1)
        self._on_unavailable = on_unavailable
        self._breaker = breaker
        self._budget = RetryBudget(self._policy.budget_ratio, self._policy.budget_reserve)

    def earn(self) -> None:
        """Once for each request."""
        self._budget.earn()

    def before(self) -> None:
        """Before each attempt. Raises :class:`CircuitOpenError`."""
        if self._breaker is not None:
            self._breaker.check()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Around one plain call."""
        self.before()
        try:
            yield
        except Gemma4Error as error:
            self.failed(error)
            raise
        self.succeeded()

    def succeeded(self) -> None:
        """Note that the server answered."""
        if self._breaker is not None:
            self._breaker.succeeded()

    def failed(self, error: Gemma4Error) -> None:
        """Another status than UNAVAILABLE is an answer: the server is there."""
        if _unavailable(error):
            self._on_unavailable()
        if self._breaker is None:
            return
        if _unavailable(error):
            self._breaker.failed()
        elif error.status in ("INVALID_ARGUMENT", "INTERNAL"):
            self._breaker.succeeded()

    def retrying(
        self, deadline: float | None, sleep: Callable[[float], Any], *, reads_only: bool = False
    ) -> dict[str, Any]:
        """Arguments of :class:`tenacity.Retrying` for one request that must end at ``deadline``
        (:func:`time.monotonic`); ``sleep`` waits for so many seconds. ``reads_only``: to ask twice
        does no harm."""
        policy = self._policy
        return {
            "wait": tenacity.wait_random_exponential(policy.first_delay, policy.max_delay),
            "stop": _any(
                lambda state: state.attempt_number >= policy.attempts,
                lambda state: _too_late(deadline, state.upcoming_sleep),
                lambda _: not self._budget.take(),
            ),
            "retry": tenacity.retry_if_exception(_unavailable if reads_only else _never_begun),
            "reraise": True,
            "sleep": sleep,
        }


def _too_late(deadline: float | None, wait: float) -> bool:
    return deadline is not None and monotonic() + wait > deadline


def _any(
    *conditions: Callable[[tenacity.RetryCallState], bool],
) -> Callable[[tenacity.RetryCallState], bool]:
    """In order; the last one, which spends, only when no other holds."""
    return lambda state: any(condition(state) for condition in conditions)
