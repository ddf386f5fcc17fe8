"""What a process made by ``os.fork`` may still use of its parent's connections.

A thread does not outlive a fork. gRPC starts its own anew in the child, unless one of them was at
work: that is so while an answer runs, and for as long as a client for asyncio is open.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["Owner", "check_grpc", "register"]


class Owner:
    """The process that made something."""

    __slots__ = ("_pid",)

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def here(self) -> bool:
        """Whether it is this one, not a parent of it."""
        return self._pid == os.getpid()

    def check(self, thing: str) -> None:
        """Raise :class:`RuntimeError` in another process."""
        if self._pid != os.getpid():
            raise RuntimeError(
                f"this {thing} was started before the process was forked; start one in each process"
            )


class Busy(Protocol):
    """Connections over gRPC."""

    owner: Owner
    loop: bool
    """Whether they are of an event loop."""

    @property
    def streams(self) -> int: ...


_connections: WeakSet[Busy] = WeakSet()


def register(connections: Busy) -> None:
    """Have ``connections`` looked at by :func:`check_grpc` in processes that are forked later."""
    _connections.add(connections)


def check_grpc(*, loop: bool) -> None:
    """Raise :class:`RuntimeError` when gRPC cannot work in this process, where it would wait
    forever. ``loop``: it is for an event loop."""
    for other in list(_connections):
        if not other.owner.here and (other.streams or (loop and other.loop)):
            raise RuntimeError(
                "this process was forked while gRPC was at work, so that gRPC cannot work in it; "
                "use the start method spawn or forkserver, or HTTP (http://host:port)"
            )
