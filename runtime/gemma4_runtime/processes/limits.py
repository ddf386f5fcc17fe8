"""Limits that the shell or a container puts on a process (``ulimit``). Linux, standard library."""

from __future__ import annotations

import os
import resource
from pathlib import Path

__all__ = ["open_files_short_of", "raise_soft", "threads_left"]

_NONE = float("inf")
_MOST = {resource.RLIMIT_NOFILE: 65_536}
"""Some programs walk over every number of a file that there could be."""

_CGROUP = Path("/sys/fs/cgroup")


def raise_soft(limit: int) -> float:
    """Raise the soft limit (``resource.RLIMIT_...``) to the hard one, which every process may, for
    this process and its children. The hard limit; infinity for none."""
    soft, hard = map(_number, resource.getrlimit(limit))
    wanted = max(soft, min(hard, _MOST.get(limit, _NONE)))
    if soft != wanted:
        soft_now = resource.RLIM_INFINITY if wanted == _NONE else int(wanted)
        resource.setrlimit(limit, (soft_now, resource.getrlimit(limit)[1]))
    return hard


def _number(limit: int) -> float:
    return _NONE if limit == resource.RLIM_INFINITY else limit


def open_files_short_of(needed: int, what: str) -> str:
    """Return "" if this process may open ``needed`` files, after raising the soft limit; else why
    not and the way out. ``what`` needs them."""
    hard = raise_soft(resource.RLIMIT_NOFILE)
    if hard >= needed:
        return ""
    return (
        f"{what} needs {needed} open files, the hard limit of this process is {hard:.0f}: raise it "
        f"(ulimit -Hn {needed}, LimitNOFILE= of systemd, docker run --ulimit nofile={needed})"
    )


def threads_left() -> float:
    """Return the threads that may still be started here: by the user's limit of processes (root has
    none), and the container's. Infinity for no limit."""
    return min(_left_of_user(), _left_of_container())


def _left_of_user() -> float:
    if os.geteuid() == 0:
        return _NONE
    most = raise_soft(resource.RLIMIT_NPROC)
    if most == _NONE:
        return most
    used = 0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and folder.stat().st_uid == os.getuid():
                used += sum(1 for _ in (folder / "task").iterdir())
        except OSError:  # it has ended
            continue
    return most - used


def _left_of_container() -> float:
    try:
        most = (_CGROUP / "pids.max").read_text().strip()
        used = int((_CGROUP / "pids.current").read_text())
        return _NONE if most == "max" else int(most) - used
    except (OSError, ValueError):  # no cgroup of version 2, or its root
        return _NONE
