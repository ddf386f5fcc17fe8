"""Run a command that ends with its parent: ``python tied.py PARENT_PID COMMAND ...``.

A supervisor that is killed cannot stop its server, which would keep ports, shared memory and the
memory of its GPU. Linux sends the signal (prctl(2), PR_SET_PDEATHSIG), also to a frozen process,
and keeps it over exec. Standard library only: this runs without our packages.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Does not return."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
