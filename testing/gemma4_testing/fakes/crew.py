"""A supervisor whose workers do what a test says: ``python -m gemma4_testing.fakes.crew KIND FOLDER``.

Of two workers, number 0 is good in every kind; number 1 is: "good"; "wrong" finds a bad setting at
its start; "dies" ends before it serves; "killed" serves and kills itself, every time; "spoiled" is
good once and wrong from then on; "frozen" serves and stands still, the first time; "stubborn" does
not end when it is asked; "refused" cannot be forked after the first time. ``FOLDER`` is where what
has to be remembered is.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from gemma4_gateway.fair.limits import QueueLimits
from gemma4_gateway.settings import Settings, SettingsError
from gemma4_gateway.workers import losses, supervisor
from gemma4_gateway.workers.member import Member
from gemma4_gateway.workers.supervisor import StartError, Supervisor, Times

__all__: list[str] = []

TIMES = Times(frozen=3.0, start=20.0, end=6.0)


class _Crew:
    def __init__(self, kind: str, folder: Path) -> None:
        self._kind, self._folder = kind, folder

    def work(self, member: Member) -> None:
        kind = self._kind if member.number == 1 else "good"
        before = len(list(self._folder.glob(f"{member.number}-*")))
        (self._folder / f"{member.number}-{os.getpid()}").touch()
        if kind == "wrong" or (kind == "spoiled" and before):
            raise SettingsError("--key X: is wrong; give another")
        if kind == "dies":
            os._exit(7)
        asked: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
        member.beat()
        member.started("Ctrl-C stops\n")
        if kind in ("killed", "spoiled"):
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        while not asked or kind == "stubborn":
            time.sleep(0.05)
            if kind != "frozen" or before:
                member.beat()


def _refuse_after(count: int) -> None:
    """Have fork fail after so many times."""
    forks, left = os.fork, [count]

    def fork() -> int:
        if not left[0]:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        left[0] -= 1
        return forks()

    os.fork = fork


def main(kind: str, folder: Path) -> int:
    losses._FIRST_S = 0.005
    if kind == "refused":
        kind = "killed"
        _refuse_after(2)
    supervisor._TURN_S = 0.1
    settings = Settings(workers=2, grace=0.5, queue=QueueLimits())
    try:
        return Supervisor(settings, "json", _Crew(kind, folder).work, times=TIMES).run()
    except (SettingsError, StartError) as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
