"""Losses in a window, and how long to wait after each."""

from __future__ import annotations

from gemma4_serve.restarts import RestartPolicy


def test_delays_grow_and_end() -> None:
    policy = RestartPolicy(8, window=300)
    delays = [policy.lost(float(number)) for number in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, None]
    assert policy.losses == 9


def test_old_losses_do_not_count() -> None:
    policy = RestartPolicy(2, window=100)
    assert [policy.lost(t) for t in (0, 60, 120, 180, 240)] == [0.5, 1.0, 1.0, 1.0, 1.0]
    assert [policy.lost(t) for t in (250, 260)] == [None, None]


def test_a_first_loss_without_restarts() -> None:
    assert RestartPolicy(0, window=10).lost(5.0) is None
