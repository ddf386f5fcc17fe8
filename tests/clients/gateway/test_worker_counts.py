"""Limits that processes share: never more than there is, also when one dies with the lock."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from gemma4_gateway.errors import ApiError
from gemma4_gateway.keys import KeyEntry
from gemma4_gateway.limits import Gate
from gemma4_gateway.settings import Limits
from gemma4_gateway.workers.counts import ALL, Counts
from gemma4_gateway.workers.shared_gate import SharedGate
from hypothesis import given
from hypothesis import strategies as st

FORK = multiprocessing.get_context("fork")


def key(name: str = "a", **limits: Any) -> KeyEntry:
    return KeyEntry(name=name, sha256="0" * 64, **limits)


def gates(count: int, limits: Limits | None = None) -> list[SharedGate]:
    counts = Counts(count)
    return [SharedGate(limits or Limits(), counts, number) for number in range(count)]


def code_of(gate: Gate, entry: KeyEntry) -> str:
    try:
        gate.enter(entry)
    except ApiError as error:
        return error.code or ""
    return ""


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.booleans()), max_size=40),
    st.integers(1, 4), st.integers(1, 6), st.integers(1, 3),
)  # fmt: skip
def test_three_workers_decide_as_one(
    steps: list[tuple[str, int, bool]], running: int, rate: int, everybody: int
) -> None:
    """For any order of requests, ends and workers."""
    limits = Limits(max_running=everybody, key_running=running, key_requests_per_minute=rate)
    alone, shared = Gate(limits), gates(3, limits)
    open_: list[tuple[KeyEntry, int]] = []
    for name, worker, ends in steps:
        if ends and open_:
            entry, began = open_.pop(0)
            alone.leave(entry, tokens=5)
            shared[began].leave(entry, tokens=5)
            continue
        entry = key(name)
        expected = code_of(alone, entry)
        assert code_of(shared[worker], entry) == expected
        if not expected:
            open_.append((entry, worker))
        assert sum(gate.running for gate in shared) == alone.running


def test_tokens_of_one_are_missed_by_the_other() -> None:
    one, other = gates(2)
    entry = key(tokens_per_minute=600)
    one.enter(entry)
    one.leave(entry, tokens=1200)
    with pytest.raises(ApiError) as caught:
        other.enter(entry)
    assert caught.value.code == "tokens_per_minute"
    assert 55 <= int(caught.value.headers()["retry-after"]) <= 61


def test_what_was_entered_and_refused_elsewhere_is_given_back() -> None:
    one, other = gates(2)
    entry = key(requests_per_minute=1, max_running=1)
    one.enter(entry)
    one.undo(entry)
    other.enter(entry)
    assert code_of(one, entry) == "max_running"


def test_a_key_whose_limits_change_leaves_nothing_behind() -> None:
    one, other = gates(2)
    one.enter(key(max_running=1))
    one.leave(key(), tokens=0)
    other.enter(key(max_running=1))


def in_processes(count: int, work: Callable[[int], None]) -> None:
    processes = [FORK.Process(target=work, args=(number,)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def test_processes_at_once_get_exactly_what_there_is() -> None:
    counts = Counts(4)
    got = FORK.Queue()

    def ask(number: int) -> None:
        gate = SharedGate(Limits(), counts, number)
        entry = key(requests_per_minute=400, max_running=200)
        found = [code_of(gate, entry) for _ in range(100)]
        got.put(found.count(""))

    in_processes(4, ask)
    assert sum(got.get(timeout=10) for _ in range(4)) == 200
    assert counts.running(ALL) == 200
    own = counts.own(2)  # 0 where the others were faster
    counts.forget(2)
    assert counts.running(ALL) == 200 - own and counts.own(2) == 0


def test_a_worker_that_is_killed_with_the_lock_holds_nobody_up() -> None:
    counts = Counts(2)

    def hold(number: int) -> None:
        with counts.lock():
            counts.add(number, ALL, 1)
            os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(target=hold, args=(0,))
    process.start()
    process.join(10)
    assert process.exitcode == -signal.SIGKILL
    begun = time.monotonic()
    counts.forget(0)
    SharedGate(Limits(max_running=1), counts, 1).enter(key())
    assert time.monotonic() - begun < 5


def test_more_keys_than_can_be_told_apart_are_refused_by_name() -> None:
    counts = Counts(1, slots=4)
    gate = SharedGate(Limits(), counts, 0)
    for number in range(3):
        gate.enter(key(f"k{number}"))
    with pytest.raises(ApiError, match="limits of 3 keys") as caught:
        gate.enter(key("one-more"))
    assert caught.value.status == 429
    assert gate.running == 3
    for number in range(3):
        gate.leave(key(f"k{number}"), tokens=0)
    assert gate.running == 0
