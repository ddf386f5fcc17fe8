"""A limit of a test is what it may take while there is a processor for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from gemma4_testing import waiting
from gemma4_testing.waiting import wait_until

LIMIT_S = 0.05


def pressure(file: Path, seconds: float) -> None:
    total = round(seconds * 1e6)
    file.write_text(f"some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\nfull total=9\n")


def never(limit: float) -> tuple[float, str]:
    """Seconds that a wait for nothing took, and its words."""
    started = time.monotonic()
    with pytest.raises(AssertionError) as caught:
        wait_until(lambda: False, limit, "it comes")
    return time.monotonic() - started, str(caught.value)


@pytest.mark.parametrize("text", [None, "", "some\n", "some total=\n", "some total=7\n"])
def test_a_quiet_machine_and_one_that_does_not_tell(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpu"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(waiting, "_PRESSURE", file)
    took, said = never(LIMIT_S)
    assert took >= LIMIT_S
    assert said.startswith("not within 0.05 s, and 0.00 s of a busy machine: it comes")


def test_a_busy_machine_is_waited_for_but_not_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpu"
    pressure(file, 100.0)
    monkeypatch.setattr(waiting, "_PRESSURE", file)
    started = time.monotonic()

    def condition() -> bool:
        pressure(file, 100.0 + time.monotonic() - started)
        return False

    with pytest.raises(AssertionError, match=r"not within 0.05 s, and 0.15 s of a busy machine"):
        wait_until(condition, LIMIT_S)
    assert time.monotonic() - started >= 4 * LIMIT_S


def test_what_comes_in_time_is_timed() -> None:
    assert wait_until(lambda: True, 0.0) < 10
