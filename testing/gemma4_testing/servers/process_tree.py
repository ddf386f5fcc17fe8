"""The processes of a server that last."""

from __future__ import annotations

import psutil

__all__ = ["lasting"]


def lasting(root: int) -> list[psutil.Process]:
    """The process ``root`` and those below it, without the children that a preparation process
    forks for each request: those have its command line, and may take some time to end after the
    answer."""
    parent = psutil.Process(root)
    return [parent, *(p for p in parent.children(recursive=True) if not _forked(p))]


def _forked(process: psutil.Process) -> bool:
    try:
        parent = process.parent()
        return parent is None or process.cmdline() in ([], parent.cmdline())
    except psutil.NoSuchProcess:
        return True
