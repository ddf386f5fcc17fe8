"""Retries, their budget, and the breaker."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from gemma4_client import (
    CancelledError,
    CircuitBreaker,
    CircuitOpenError,
    Client,
    DeadlineExceededError,
    InvalidRequestError,
    RetryPolicy,
    UnavailableError,
)
from gemma4_client.retry import RetryBudget
from gemma4_testing.fakes.both_clients import KINDS, PROTOCOLS, client_of
from gemma4_testing.fakes.fake_triton import Script, chunk, server_of, whole
from gemma4_testing.waiting import wait_until

FULL = Script(error="UNAVAILABLE: full, retry later")
FAST = RetryPolicy(attempts=4, first_delay=0.01, max_delay=0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("stream", [True, False])
def test_refused_thrice_then_answered(kind: str, protocol: str, stream: bool) -> None:
    answer = Script(whole() if stream else [chunk(0, "stop", "hello!")])
    with (
        server_of(protocol, FULL, FULL, FULL, answer) as (url, seen),
        client_of(kind, url, retry=FAST) as client,
    ):
        assert client.chat("hi", stream=stream).result().text == "hello!"
    assert seen.count == 4


@pytest.mark.parametrize("kind", KINDS)
def test_four_times_is_enough(kind: str) -> None:
    with server_of("grpc", FULL) as (url, seen), client_of(kind, url, retry=FAST) as client:
        with pytest.raises(UnavailableError, match="full"):
            client.chat("hi").result()
        assert seen.count == 4
    with server_of("grpc", FULL) as (url, seen), client_of(kind, url, retry=None) as client:
        with pytest.raises(UnavailableError, match="full"):
            client.chat("hi").result()
        assert seen.count == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (Script(error="INVALID_ARGUMENT: x"), InvalidRequestError),
        (Script([chunk(0)], error="UNAVAILABLE: x"), UnavailableError),
        (Script(error="DEADLINE_EXCEEDED: x"), DeadlineExceededError),
    ],
    ids=["invalid", "after a chunk", "deadline"],
)
def test_what_is_not_sent_again(kind: str, script: Script, error: type[Exception]) -> None:
    with server_of("grpc", script) as (url, seen), client_of(kind, url, retry=FAST) as client:
        with pytest.raises(error):
            client.chat("hi").result()
        assert seen.count == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_deadline_is_for_all_attempts(kind: str) -> None:
    slow = RetryPolicy(attempts=1000, first_delay=0.05, max_delay=0.05, budget_reserve=1000)
    with server_of("grpc", FULL) as (url, _), client_of(kind, url, retry=slow) as client:
        started = time.monotonic()
        with pytest.raises((UnavailableError, DeadlineExceededError)):
            client.chat("hi", timeout=0.3).result()
        assert time.monotonic() - started < 25  # the attempts alone would take 50 s


@pytest.mark.parametrize("kind", KINDS)
def test_the_budget_ends_a_storm(kind: str) -> None:
    policy = RetryPolicy(attempts=3, first_delay=0.0, budget_ratio=0.1, budget_reserve=5)
    with (
        server_of("grpc", FULL) as (url, seen),
        client_of(kind, url, retry=policy, breaker=None) as client,
    ):
        for _ in range(50):
            with pytest.raises(UnavailableError):
                client.chat("hi").result()
    assert 50 < seen.count <= 50 + 5 + 5


def test_budget_arithmetic() -> None:
    budget = RetryBudget(0.5, 2)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    budget.earn()
    assert not budget.take()
    budget.earn()
    assert budget.take()
    for _ in range(100):
        budget.earn()
    assert [budget.take() for _ in range(3)] == [True, True, False]


def test_a_cancel_ends_the_wait_for_the_next_attempt() -> None:
    waits = RetryPolicy(attempts=2, first_delay=60, max_delay=60)
    with server_of("grpc", FULL) as (url, seen), Client(url, retry=waits) as client:
        stream = client.chat("hi")
        caught = []

        def read() -> None:
            try:
                stream.result()
            except CancelledError as error:
                caught.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: seen.count, 10)
        stream.cancel()
        reader.join(5)
        assert not reader.is_alive()
    assert caught
    assert seen.count == 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_breaker() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=3, reset_after=10, now=clock)
    for _ in range(2):
        breaker.failed()
    breaker.succeeded()
    for _ in range(2):
        breaker.failed()
    breaker.check()
    breaker.failed()
    with pytest.raises(CircuitOpenError, match=r"3 times in a row; next try in 10\.0 s"):
        breaker.check()
    clock.now = 10.1
    breaker.check()  # the one on trial
    with pytest.raises(CircuitOpenError):
        breaker.check()
    breaker.failed()
    with pytest.raises(CircuitOpenError):
        breaker.check()
    clock.now = 21
    breaker.check()
    breaker.succeeded()
    assert not breaker.open
    breaker.check()
    breaker.check()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_open_circuit_asks_nothing_and_closes_again(kind: str, protocol: str) -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=3, reset_after=10, now=clock)
    with (
        server_of(protocol, FULL, FULL, FULL, Script(whole())) as (url, seen),
        client_of(kind, url, retry=None, breaker=breaker) as client,
    ):
        for _ in range(3):
            with pytest.raises(UnavailableError):
                client.chat("hi").result()
        for _ in range(5):
            with pytest.raises(CircuitOpenError):
                client.chat("hi").result()
        assert seen.count == 3
        clock.now = 11
        assert client.chat("hi").result().text == "hello!"
        assert client.chat("hi").result().text == "hello!"


@pytest.mark.parametrize(
    "arguments", [{"attempts": 0}, {"first_delay": -1}, {"budget_ratio": -0.1}]
)
def test_policies_that_make_no_sense(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RetryPolicy(**arguments)
