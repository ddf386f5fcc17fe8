"""Run a command that ends with its parent: ``python tied.py PARENT_PID COMMAND ...``.

A supervisor that is killed cannot stop its server, which would keep ports, shared memory and the
memory of its GPU. Linux sends the signal (prctl(2), PR_SET_PDEATHSIG), also to a frozen process,
and keeps it over exec. Standard library only: this runs without our packages.

The command's threads get larger stacks as well: Triton 2.51 reads JSON by recursion and a chunked
body on the stack, and ended with 200,000 brackets or 600,000 chunks on the usual 8 MiB. They are
address space only until they are used.

What it writes is for this user alone, but for regions of shared memory, whose permissions Triton
sets itself.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""Option of prctl(2): the signal that this process gets when its parent ends."""
_STACK_BYTES = 256 * 2**20
"""Bytes of a thread's stack (address space until it is used): with 8 MiB deep JSON and bodies of
many chunks ended Triton 2.51."""

_UMASK = 0o077
"""Permissions that no file, socket or region of shared memory gets: those of others."""


def main(parent: int, command: list[str]) -> None:
    """Run tritonserver in this process's place: this does not return."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)
    _raise_stack_limit()
    os.umask(_UMASK)
    os.execv(command[0], command)


def _raise_stack_limit() -> None:
    """Raise the limit as far as this user may, and where address space costs nothing: 300 threads
    have stacks."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY or _strict_overcommit():
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _STACK_BYTES if hard == resource.RLIM_INFINITY else min(_STACK_BYTES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))


def _strict_overcommit() -> bool:
    """Return whether Linux counts address space as memory (vm.overcommit_memory = 2)."""
    try:
        with open("/proc/sys/vm/overcommit_memory", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip() == "2"
    except OSError:
        return False


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
