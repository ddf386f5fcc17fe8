"""The end of gRPC calls in an event loop, which may be about to close.

Cancelling a call ends it for its caller at once, while what it asked gRPC for comes back a little
later, as an event for the loop. An event for a closed loop would stop the events of the process's
next loop.
"""

from __future__ import annotations

import asyncio

__all__ = ["calls_settled"]

_STATUS = "_AioCall._handle_status_once_received"
"""grpc.aio runs one such task for each call, until gRPC has given the call's status: the last of
its events."""
_WITHIN_S = 0.5
"""Calls of other channels in this loop may go on for longer."""


async def calls_settled() -> None:
    """Return when every call in this loop has its status, or after half a second."""
    waiting = {task for task in asyncio.all_tasks() if _name(task) == _STATUS}
    if waiting:
        await asyncio.wait(waiting, timeout=_WITHIN_S)


def _name(task: asyncio.Task[object]) -> str:
    return getattr(task.get_coro(), "__qualname__", "")
