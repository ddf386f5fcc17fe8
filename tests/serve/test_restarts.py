"""Losses in a window, how long to wait after each, and the count of restarts by reason."""

from __future__ import annotations

import pytest
from gemma4_runtime.restarts import RESTART_REASONS, RestartReason, read_restarts, write_restarts
from gemma4_serve.restarts import RestartPolicy
from hypothesis import given
from hypothesis import strategies as st


def test_delays_grow_and_end() -> None:
    policy = RestartPolicy(8, window=300)
    delays = [policy.lost(float(number), "crashed") for number in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, None]
    assert policy.losses == 9


def test_old_losses_do_not_count() -> None:
    policy = RestartPolicy(2, window=100)
    assert [policy.lost(t, "crashed") for t in (0, 60, 120, 180, 240)] == [0.5, 1.0, 1.0, 1.0, 1.0]
    assert [policy.lost(t, "crashed") for t in (250, 260)] == [None, None]


def test_a_first_loss_without_restarts() -> None:
    assert RestartPolicy(0, window=10).lost(5.0, "crashed") is None


def test_restarts_are_counted_by_reason_and_only_when_they_happen() -> None:
    policy = RestartPolicy(2, window=100)
    assert policy.counts == {"crashed": 0, "frozen": 0, "stuck": 0, "start_failed": 0}
    policy.lost(0, "crashed")
    policy.lost(1, "start_failed")
    assert policy.lost(2, "frozen") is None  # given up
    assert policy.counts == {"crashed": 1, "frozen": 0, "stuck": 0, "start_failed": 1}
    policy.lost(200, "crashed")  # counts outlive the window
    assert policy.counts["crashed"] == 2


@given(st.fixed_dictionaries({reason: st.integers(0, 10**6) for reason in RESTART_REASONS}))
def test_counts_pass_through_the_environment(counts: dict[RestartReason, int]) -> None:
    assert read_restarts(write_restarts(counts)) == counts


@pytest.mark.parametrize("text", ["crashed", "crashed=", "crashed=-1", "bored=1", "crashed=\u0662"])
def test_counts_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not one of crashed, frozen"):
        read_restarts(text)
