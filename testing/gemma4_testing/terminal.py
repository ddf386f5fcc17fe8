"""A command in a terminal of its own, started from a process in which gRPC runs."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import Any

import pexpect
import ptyprocess

__all__ = ["Terminal"]


class Terminal(pexpect.spawn):  # type: ignore[misc]
    """As :class:`pexpect.spawn`, which forks: in the fork gRPC starts its threads again, pexpect
    closes the files that they use, and they end the process before the command has begun. Python's
    ``subprocess`` runs no handlers of forks; setsid(1) gives the command its terminal."""

    def _spawnpty(self, args: list[Any], **options: Any) -> Any:
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            ["setsid", "--ctty", *args],
            stdin=theirs, stdout=theirs, stderr=theirs, env=options["env"], cwd=options["cwd"],
        )  # fmt: skip
        os.close(theirs)
        self._child = child
        process = ptyprocess.PtyProcess(child.pid, ours)
        if options["dimensions"] is not None:
            process.setwinsize(*options["dimensions"])
        return process
