"""The other model processes of a Triton that has gone.

Triton 2.51 lets a model's process wait for its answer in shared memory while it has Python's global
lock. When Triton is killed in that moment, none of the process's threads runs any more, so it
cannot see that it is alone, and would keep its memory. The others can see it, but not for long:
Triton's own code ends each of them within 0.3 s. So whoever sees it first kills all others at once.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from gemma4_runtime.processes.heartbeat import BEATS_NAME, SEEN

__all__ = ["end_siblings"]

_TURN_NAME = ".turn"
"""Of a file that is locked by the process that kills the others."""
_TURN_S = 0.1
"""Seconds after which the lock's owner is taken for stuck; it needs a few milliseconds."""
_LOOK_S = 0.005
"""Seconds between two tries to get the lock."""
_CLOCKS_S = 2.0
"""Seconds by which the start of a process and the time of a file may differ: Linux counts the one
from the start of the machine, which it knows in whole seconds."""


def end_siblings(run_dir: Path) -> None:
    """Kill all other orphans of the same parent. Whoever calls this should end right after it."""
    with _turn(run_dir):  # two that killed each other might both be gone before they killed a third
        # Those that have not seen it first: they may never see it.
        for _, process in sorted(_others(run_dir), key=lambda found: found[0].suffix == SEEN):
            with suppress(psutil.NoSuchProcess):  # it has ended, as it should
                process.kill()


@contextmanager
def _turn(run_dir: Path) -> Iterator[None]:
    """Hold the lock, or go on without it after :data:`_TURN_S`."""
    end = time.monotonic() + _TURN_S
    with (run_dir / BEATS_NAME / _TURN_NAME).open("w") as file:
        while time.monotonic() < end:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOOK_S)
        yield


def _others(run_dir: Path) -> Iterator[tuple[Path, psutil.Process]]:
    for path in (run_dir / BEATS_NAME).iterdir():
        try:
            process = psutil.Process(int(path.stem))
            # Not another process that got the number later.
            old = process.create_time() <= _made(path) + _CLOCKS_S
            if old and process.ppid() == os.getppid() and process.pid != os.getpid():
                yield path, process
        except (ValueError, OSError, psutil.Error):
            continue


def _made(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # its process has just seen it
        return path.with_suffix(SEEN).stat().st_mtime
