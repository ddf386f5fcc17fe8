"""What differs between gRPC in an event loop and blocking gRPC, for the loop;
:mod:`gemma4_client.transport.grpc_threads` has the same names."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc.aio

from gemma4_client.concurrency.timeouts import TIMED_OUT, timeout
from gemma4_client.transport.grpc_wire import END_S

__all__ = ["ENDED", "IS_LOOP", "all_ready", "being_cancelled", "read_on", "when_over"]

ENDED = (grpc.RpcError, asyncio.CancelledError)
"""What a call raises at its end: grpc.aio says a cancelled call as a cancelled task."""

IS_LOOP = True
"""Whether it is for an event loop."""


def being_cancelled(*, guess: bool) -> bool:
    """Whether the running task itself is cancelled; it has to see that. Python 3.10 does not tell:
    there it is ``guess``."""
    if sys.version_info < (3, 11):
        return guess
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def read_on(call: Any) -> None:
    """After an error message: to the end of ``call``. See :data:`END_S`."""
    try:
        async with timeout(END_S):
            async for _ in call:
                pass
    except (grpc.RpcError, *TIMED_OUT):
        pass
    except asyncio.CancelledError:
        if being_cancelled(guess=True):
            raise


def when_over(call: Any, then: Callable[[], None]) -> None:
    """Have ``then`` called when ``call`` is over."""
    call.add_done_callback(lambda _: then())


async def all_ready(
    questions: Sequence[tuple[Callable[..., Awaitable[Any]], Any]], **options: Any
) -> bool:
    """Whether each method says "ready" to its message; False when one fails. All are asked at
    once."""
    asked = (method(message, **options) for method, message in questions)
    replies = await asyncio.gather(*asked, return_exceptions=True)
    for reply in replies:
        if isinstance(reply, BaseException) and not isinstance(reply, grpc.RpcError):
            raise reply
    return all(not isinstance(reply, BaseException) and reply.ready for reply in replies)
