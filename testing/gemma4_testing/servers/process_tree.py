"""The processes of a server, any of which may end while they are looked at."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

__all__ = [
    "find_process",
    "find_processes",
    "kill_each",
    "kill_tree",
    "lasting",
    "pids_below",
    "tree",
]


def tree(root: int) -> list[psutil.Process]:
    """The process ``root`` and those below it; none if it has ended."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(root)
        return [parent, *parent.children(recursive=True)]
    return []


def pids_below(root: int) -> list[int]:
    return [process.pid for process in tree(root)[1:]]


def find_processes(root: int, wanted: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """The processes below ``root`` that are ``wanted``."""
    found = []
    for process in tree(root)[1:]:
        with suppress(psutil.NoSuchProcess):
            if wanted(process):
                found.append(process)
    return found


def find_process(root: int, wanted: Callable[[psutil.Process], bool]) -> psutil.Process:
    """The first process below ``root`` that is ``wanted``.

    Raises:
        AssertionError: there is none.
    """
    found = find_processes(root, wanted)
    assert found, f"no such process below {root}"
    return found[0]


def kill_tree(root: int) -> None:
    """Kill ``root`` and all below it, as a machine that loses power does. A server's processes end
    by themselves when they see that another has ended, so one may be gone when its turn comes."""
    for process in tree(root)[::-1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def kill_each(pids: Iterable[int]) -> None:
    """Kill ``pids`` in this order, but for those that have ended. They are stopped before, so that
    none acts when it sees the end of another."""
    known = tuple(pids)
    for pid in known:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    for pid in known:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def lasting(root: int) -> list[psutil.Process]:
    """The process ``root`` and those below it, without the children that a preparation process
    forks for each request: those have its command line, and may take some time to end after the
    answer."""
    parent, *below = tree(root)
    return [parent, *(p for p in below if not _forked(p))]


def _forked(process: psutil.Process) -> bool:
    try:
        parent = process.parent()
        return parent is None or process.cmdline() in ([], parent.cmdline())
    except psutil.NoSuchProcess:
        return True
