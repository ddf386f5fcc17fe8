"""Rates and concurrency, with a clock of our own."""

from __future__ import annotations

from typing import Any

import pytest
from gemma4_gateway.errors import ApiError
from gemma4_gateway.keys import KeyEntry
from gemma4_gateway.limits import Bucket, Gate
from gemma4_gateway.settings import Limits
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def key(name: str = "a", **limits: Any) -> KeyEntry:
    return KeyEntry(name=name, sha256="0" * 64, **limits)


def refused(gate: Gate, entry: KeyEntry) -> ApiError:
    with pytest.raises(ApiError) as caught:
        gate.enter(entry)
    assert caught.value.status == 429
    return caught.value


def test_requests_per_minute() -> None:
    clock = Clock()
    gate = Gate(Limits(key_requests_per_minute=3), clock)
    for _ in range(3):
        gate.enter(key())
        gate.leave(key(), tokens=0)
    error = refused(gate, key())
    assert (error.code, error.headers()["retry-after"]) == ("requests_per_minute", "20")
    gate.enter(key("b"))
    clock.now += 20
    gate.enter(key())
    refused(gate, key())


def test_tokens_per_minute_are_charged_afterwards() -> None:
    clock = Clock()
    gate = Gate(Limits(key_tokens_per_minute=600), clock)
    gate.enter(key())
    gate.leave(key(), tokens=1200)
    error = refused(gate, key())
    assert (error.code, error.headers()["retry-after"]) == ("tokens_per_minute", "61")
    clock.now += 59
    refused(gate, key())
    clock.now += 2
    gate.enter(key())


def test_running() -> None:
    gate = Gate(Limits(max_running=3, key_running=2))
    gate.enter(key())
    gate.enter(key())
    assert refused(gate, key()).code == "max_running"
    gate.enter(key("b"))
    assert refused(gate, key("c")).code == "gateway_full"
    gate.leave(key(), tokens=5)
    gate.enter(key())
    assert gate.running == 3


def test_a_key_has_limits_of_its_own() -> None:
    gate = Gate(Limits(key_running=1, key_requests_per_minute=1))
    mine = key("mine", max_running=0, requests_per_minute=2)
    gate.enter(mine)
    gate.enter(mine)
    assert refused(gate, mine).code == "requests_per_minute"


def test_an_entry_that_changes_has_its_new_rate() -> None:
    gate = Gate(Limits())
    gate.enter(key(requests_per_minute=1))
    refused(gate, key(requests_per_minute=1))
    gate.enter(key(requests_per_minute=2))
    gate.leave(key(requests_per_minute=0), tokens=9)
    gate.enter(key(requests_per_minute=0))
    assert gate.running == 2


@given(st.integers(1, 1000), st.lists(st.floats(0, 30), max_size=50))
def test_a_bucket_never_gives_more_than_its_rate(per_minute: int, gaps: list[float]) -> None:
    clock, taken = 0.0, 0
    bucket = Bucket(per_minute, clock)
    for gap in gaps:
        clock += gap
        if bucket.wait(clock) == 0:
            bucket.spend(1)
            taken += 1
    assert taken <= per_minute + clock * per_minute / 60 + 1e-6


@given(st.integers(1, 1000), st.integers(0, 5000))
def test_waiting_as_long_as_it_says_is_enough(per_minute: int, spent: int) -> None:
    bucket = Bucket(per_minute, 0.0)
    bucket.spend(spent)
    wait = bucket.wait(0.0)
    assert bucket.wait(wait + 1e-6) == 0
