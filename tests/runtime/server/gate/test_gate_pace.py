"""How often the quality gate asks: within a minute, and within its share of the engine's time."""

from __future__ import annotations

from gemma4_runtime.server.gate.gate import QUIET_S
from gemma4_runtime.server.gate.outcome import Outcome
from gemma4_runtime.server.gate.pace import (
    FAILED_AGAIN_S,
    INTERVAL_S,
    SHARE,
    SKIPPED_AGAIN_S,
    Pace,
)
from hypothesis import given
from hypothesis import strategies as st

PASSED, FAILED, SKIPPED = Outcome("passed"), Outcome("failed"), Outcome("skipped")
PROMPTS = 6


def test_the_first_run_and_one_after_a_failure_are_at_once() -> None:
    for interval in (None, 0.0, 30.0):
        pace = Pace(interval, PROMPTS)
        for last in (None, FAILED):
            assert pace.pause(last, begun=True, asked_s=9.0) == 0.0


def test_a_failed_run_is_made_again_within_a_minute() -> None:
    for interval, wait in ((None, INTERVAL_S), (0.0, FAILED_AGAIN_S), (7.0, 7.0), (9999.0, 60.0)):
        assert Pace(interval, PROMPTS).pause(FAILED, begun=False, asked_s=1.0) == wait


def test_one_run_only() -> None:
    pace = Pace(0.0, PROMPTS)
    assert pace.pause(PASSED, begun=False, asked_s=1.0) is None
    assert pace.pause(SKIPPED, begun=False, asked_s=1.0) is None


def test_a_skipped_run_is_not_made_again_at_once() -> None:
    assert Pace(None, PROMPTS).pause(SKIPPED, begun=False, asked_s=0.1) == SKIPPED_AGAIN_S
    assert Pace(7200.0, PROMPTS).pause(SKIPPED, begun=False, asked_s=0.1) == 7200.0
    assert Pace(None, PROMPTS).pause(SKIPPED, begun=True, asked_s=0.0) == INTERVAL_S / PROMPTS


@given(st.floats(0.001, 30.0), st.integers(1, 64))
def test_its_own_pace_keeps_to_its_share(asked_s: float, prompts: int) -> None:
    wait = Pace(None, prompts).pause(PASSED, begun=True, asked_s=asked_s)
    assert wait is not None and asked_s / (wait + asked_s) <= SHARE
    assert wait >= INTERVAL_S / prompts
    # A pace that somebody asked for is kept, whatever it costs.
    assert Pace(12.0, prompts).pause(PASSED, begun=True, asked_s=asked_s) == 12.0 / prompts


def test_every_prompt_is_replayed_within_a_minute() -> None:
    """Where one takes less than 40 ms, as the demo's do on an idle machine."""
    wait = Pace(None, PROMPTS).pause(PASSED, begun=True, asked_s=0.04)
    assert wait is not None and PROMPTS * (wait + 0.04) + QUIET_S < 60
