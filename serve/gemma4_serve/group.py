"""The process group of a server, when the server itself has ended."""

from __future__ import annotations

import os
import signal
import time

import psutil

__all__ = ["end_group", "members"]

_POLL_S = 0.02
"""Seconds between two looks whether a process group has ended."""
_REAP_S = 5.0
"""Seconds that a killed group has to end."""


def members(group: int) -> list[int]:
    """Return the process ids of the group that still run. A zombie holds nothing, and where process
    1 does not reap orphans it stays forever."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def end_group(group: int, grace: float) -> bool:
    """Wait ``grace`` seconds until the group's processes ended by themselves, then kill them. False
    if they had to be killed.

    An engine's worker holds GPU memory that the next server needs; Triton gives up on a model that
    takes long to unload and ends before it."""
    if _wait(group, grace):
        return True
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return True
    _wait(group, _REAP_S)
    return False


def _wait(group: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while members(group):
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL_S)
    return True
