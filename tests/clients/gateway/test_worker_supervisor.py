"""The supervisor of workers that die, stand still, refuse to end, or cannot be started."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from gemma4_gateway.workers.losses import Losses
from gemma4_testing.servers.command import Command
from gemma4_testing.waiting import wait_until


class Crew(Command):
    stop_s = 20
    start_s = 60

    def __init__(self, kind: str, folder: Path, *, until: str = "Ctrl-C stops") -> None:
        self.folder = folder
        super().__init__(
            "-m",
            "gemma4_testing.fakes.crew",
            kind,
            str(folder),
            program=sys.executable,
            until=until,
        )

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.output if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def pids(self, number: int) -> list[int]:
        """Of all that had this number, whether they live or not."""
        return [int(path.name.split("-")[1]) for path in self.folder.glob(f"{number}-*")]

    def ended(self) -> int:
        status = self.process.wait(self.stop_s)
        wait_until(lambda: not any(map(psutil.pid_exists, self.pids(0) + self.pids(1))), 5)
        return status


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("wrong", "SettingsError: --key X: is wrong; give another"),
        ("dies", "StartError: worker 1: ended with status 7 before it served"),
    ],
)
def test_a_start_that_fails_says_why_and_ends_the_others(
    folder: Path, kind: str, says: str
) -> None:
    crew = Crew(kind, folder, until=says)
    assert crew.ended() == 2
    assert "Ctrl-C stops" not in crew.text and "Traceback" not in crew.text
    assert len(crew.pids(1)) == 1, "it is not tried again"


def test_all_end_when_asked(folder: Path) -> None:
    crew = Crew("good", folder)
    crew.process.send_signal(signal.SIGTERM)
    assert crew.ended() == 0
    assert crew.events("stopped")[0]["workers"] == 2


def test_one_that_dies_again_and_again_is_given_up(folder: Path) -> None:
    """Later each time, and the others drain then."""
    crew = Crew("killed", folder)
    assert crew.ended() == 1
    assert len(crew.pids(1)) == 6 and len(crew.pids(0)) == 1
    lost = crew.events("worker_lost")
    assert [one["worker"] for one in lost] == [1] * 6
    assert {one["cause"] for one in lost} == {"killed by SIGKILL"}
    delays = [one["delay_s"] for one in crew.events("worker_restarting")]
    assert len(delays) == 5 and delays == sorted(set(delays))
    assert len(crew.events("given_up")) == 1


def test_one_that_cannot_start_again_says_why_each_time(folder: Path) -> None:
    crew = Crew("spoiled", folder)
    assert crew.ended() == 1
    first, *others = crew.events("worker_lost")
    assert first["served"] and first["cause"] == "killed by SIGKILL"
    assert {one["cause"] for one in others} == {"--key X: is wrong; give another"}
    assert not any(one["served"] for one in others)


def test_a_machine_that_has_no_more_processes(folder: Path) -> None:
    crew = Crew("refused", folder)
    assert crew.ended() == 1
    causes = {one["cause"] for one in crew.events("worker_lost")[1:]}
    assert causes == {"cannot be started: Resource temporarily unavailable"}


def test_one_that_stands_still_is_killed_and_replaced(folder: Path) -> None:
    crew = Crew("frozen", folder)
    crew.wait_for('"event":"worker_serves"')
    (frozen,) = crew.events("worker_frozen")
    assert frozen["worker"] == 1 and frozen["silent_s"] >= 3
    assert len(crew.pids(1)) == 2 and len(crew.pids(0)) == 1
    crew.process.send_signal(signal.SIGTERM)
    assert crew.ended() == 0


def test_nobody_is_killed_for_what_stood_still_with_the_supervisor(folder: Path) -> None:
    """A container that is frozen for a while, a machine that sleeps."""
    crew = Crew("good", folder)
    everybody = [*psutil.Process(crew.process.pid).children(), psutil.Process(crew.process.pid)]
    for process in everybody:
        process.suspend()
    time.sleep(5)
    for process in reversed(everybody):  # the supervisor first, which then sees old signs of life
        process.resume()
    time.sleep(1)
    assert not crew.events("worker_frozen")
    crew.process.send_signal(signal.SIGTERM)
    assert crew.ended() == 0


def test_one_that_does_not_end_is_killed(folder: Path) -> None:
    crew = Crew("stubborn", folder)
    crew.process.send_signal(signal.SIGTERM)
    assert crew.ended() == 1
    assert len(crew.events("workers_killed")) == 1


def test_one_more_start_after_each_loss_and_later() -> None:
    losses = Losses()
    waits = [losses.lost(float(second)) for second in range(6)]
    assert waits == pytest.approx([0.1, 0.4, 1.6, 6.4, 25.6, None])
    assert losses.lost(400.0) == pytest.approx(0.1), "long ago"
