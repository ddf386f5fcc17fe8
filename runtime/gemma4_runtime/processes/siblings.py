"""The other model processes of a Triton that has gone.

Triton 2.51 lets a model's process wait for its answer in shared memory while it has Python's global
lock. When Triton is killed in that moment, none of the process's threads runs any more, so it
cannot see that it is alone, and would keep its memory forever. The others can.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from gemma4_runtime.processes.heartbeat import BEAT_S, BEATS_NAME, SEEN

__all__ = ["end_siblings"]

_GRACE_S = 2.0
"""Seconds that the others have to see it themselves."""
_CLOCKS_S = 2.0
"""Seconds by which the start of a process and the time of a file may differ: Linux counts the one
from the start of the machine, which it knows in whole seconds."""


def end_siblings(run_dir: Path) -> None:
    """Kill the orphans of the same parent as soon as all have seen that they are alone, or after
    2 s. One that has seen it is killed too: it may have stopped before its end, when another of its
    threads got the lock. Whoever calls this should end right after it."""
    end = time.monotonic() + _GRACE_S
    found: dict[psutil.Process, bool] = {}  # process: whether it has seen it
    while True:
        now = dict(_others(run_dir))
        found.update((process, path.suffix == SEEN) for path, process in now.items())
        if all(path.suffix == SEEN for path in now) or time.monotonic() > end:
            break
        time.sleep(BEAT_S / 4)
    # Those that cannot see it first: the others do the same now, and kill this process too.
    for process in sorted(found, key=lambda process: found[process]):
        with suppress(psutil.NoSuchProcess):  # it has ended, as it should
            process.kill()


def _others(run_dir: Path) -> Iterator[tuple[Path, psutil.Process]]:
    for path in (run_dir / BEATS_NAME).iterdir():
        try:
            process = psutil.Process(int(path.stem))
            # Not another process that got the number later.
            old = process.create_time() <= path.stat().st_mtime + _CLOCKS_S
            if old and process.ppid() == os.getppid() and process.pid != os.getpid():
                yield path, process
        except (ValueError, OSError, psutil.Error):
            continue
