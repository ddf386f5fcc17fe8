"""What differs between gRPC in an event loop and blocking gRPC, for the latter;
:mod:`gemma4_client.transport.grpc_tasks` has the same names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from gemma4_client.transport.grpc_wire import END_S

__all__ = ["ENDED", "IS_LOOP", "all_ready", "being_cancelled", "read_on", "when_over"]

ENDED = (grpc.RpcError,)
"""What a call raises at its end."""

IS_LOOP = False
"""Whether it is for an event loop."""


def being_cancelled(*, guess: bool) -> bool:
    """Return False: a thread cannot be cancelled."""
    return False


def read_on(call: Any) -> None:
    """After an error message: to the end of ``call``. See :data:`END_S`."""
    late = threading.Timer(END_S, call.cancel)
    late.start()
    try:
        for _ in call:
            pass
    except grpc.RpcError:
        pass
    finally:
        late.cancel()


def when_over(call: Any, then: Callable[[], None]) -> None:
    """Have ``then`` called when ``call`` is over."""
    if not call.add_callback(then):
        then()


def all_ready(questions: Sequence[tuple[Any, Any]], **options: Any) -> bool:
    """Whether each method says "ready" to its message; False when one fails. All are asked at
    once."""
    asked = [method.future(message, **options) for method, message in questions]
    try:
        return all(reply.result().ready for reply in asked)
    except grpc.RpcError:
        return False
