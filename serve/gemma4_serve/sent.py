"""Whether a server that has no answer left has sent all that it has to send.

The last chunk of an answer passes several threads of Triton and then a socket. Nobody is told when
it has left, and a busy machine may take seconds for it. But each of these steps wakes the next, so
when no thread runs or waits for a processor, and no socket holds bytes, all has been sent.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from gemma4_serve.proc import BUSY, STOPPED, thread_states

__all__ = ["at_rest", "wait_sent"]

_LOOK_S = 0.02
"""Seconds between two looks."""
_CALM_LOOKS = 5
"""Looks one after the other that find rest, since a thread that has just been woken may be missed
while the threads are listed."""
_AT_WORK = BUSY | STOPPED
_ESTABLISHED, _CLOSE_WAIT = "01", "08"
"""States in which bytes may wait, as Linux's net/tcp_states.h numbers them."""


def at_rest(pid: int) -> bool:
    """Return whether no thread of the process runs, wants to run, waits for a disk or was stopped.
    A process that is gone rests."""
    return not thread_states(pid) & _AT_WORK


def holds_bytes(ports: Collection[int]) -> bool:
    """Return whether a connection to one of these local TCP ports has bytes that its other end has
    not acknowledged, or that its program has not read: proc_pid_net_tcp(5)'s queues."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/self/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # a kernel without IPv6
            continue
        for line in lines:
            _, local, _, state, queues, *_ = line.split()
            if state not in (_ESTABLISHED, _CLOSE_WAIT) or queues == "00000000:00000000":
                continue
            if int(local.rpartition(":")[2], 16) in ports:
                return True
    return False


def wait_sent(pids: Collection[int], ports: Collection[int], *, least: float, most: float) -> bool:
    """Wait from ``least`` to ``most`` seconds until the processes rest and the connections to the
    ports hold no bytes; return whether they do. A client that does not read keeps bytes."""
    start, calm = time.monotonic(), 0
    while time.monotonic() < start + most:
        rests = all(map(at_rest, pids)) and not holds_bytes(ports)
        calm = calm + 1 if rests else 0
        if calm >= _CALM_LOOKS and time.monotonic() >= start + least:
            return True
        time.sleep(_LOOK_S)
    return False
