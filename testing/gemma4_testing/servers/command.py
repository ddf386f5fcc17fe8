"""A server process that runs until it is told to stop. For tests and benchmarks."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from weakref import WeakSet

from gemma4_testing.servers.process_tree import lasting
from gemma4_testing.waiting import wait_until

GEMMA4 = Path(sys.executable).with_name("gemma4")
STARTED: WeakSet[Command] = WeakSet()
"""Those that somebody still holds, for who wants to know what they said."""
_ROUTINE = ('"event": "request"', '"event":"request"')


class Command:
    """Returns when it has printed ``until``, of `gemma4` the last line of the banner. ``output`` is
    everything it printed so far, without what goes to the file ``stderr``. ``start_s`` and
    ``stop_s`` bound how long it may take."""

    start_s = 120
    stop_s = 60

    def __init__(
        self,
        *args: str,
        env: dict[str, str] | None = None,
        program: str | Path = GEMMA4,
        until: str = "Ctrl-C stops",
        stderr: str | None = None,
    ) -> None:
        self.output: list[str] = []
        with Path(stderr or os.devnull).open("wb") as other:
            self.process = subprocess.Popen(
                [program, *args],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if stderr is None else other,
                env=os.environ | (env or {}),
            )
        STARTED.add(self)
        assert self.process.stdout is not None
        # A line ends with a newline and nothing else: a carriage return in it stays.
        self.stdout = io.TextIOWrapper(self.process.stdout, encoding="utf-8", newline="\n")
        Thread(target=self._read, daemon=True).start()
        try:
            self.wait_for(until)
        except BaseException:
            self.process.kill()
            raise

    def _read(self) -> None:
        for line in self.stdout:
            self.output.append(line)

    @property
    def text(self) -> str:
        return "".join(self.output)

    def said(self) -> str:
        """Return the last lines that are of no request."""
        lines = [line for line in self.output[-1000:] if not any(map(line.__contains__, _ROUTINE))]
        return "".join(line[:500] for line in lines[-20:])

    def banner_port(self, label: str) -> int:
        """Of the banner's line that starts with ``label``."""
        found = re.search(label + r" +(?:https?://)?[\d.]+:(\d+)", self.text)
        assert found is not None, self.text
        return int(found[1])

    def wait_for(self, text: str, *, times: int = 1) -> None:
        wait_until(
            lambda: self.text.count(text) >= times or self.process.poll() is not None, self.start_s
        )
        assert self.text.count(text) >= times, self.text[-3000:]

    def cpu(self) -> float:
        """Seconds of user and system time so far, children included, those that ended too."""
        times = (process.cpu_times() for process in lasting(self.process.pid))
        return sum(t.user + t.system + t.children_user + t.children_system for t in times)

    def memory(self) -> int:
        """Resident bytes, children included."""
        return sum(p.memory_info().rss for p in lasting(self.process.pid))

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(self.stop_s)
