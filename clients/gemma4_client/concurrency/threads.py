"""What the blocking client waits with; see :mod:`gemma4_client.concurrency.tasks`."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue as Queue
from threading import Event as Stop
from time import sleep
from typing import Any, TypeVar

from gemma4_client.concurrency.loop_thread import LoopThread as Loop

__all__ = ["Loop", "Queue", "Stop", "run_blocking", "sleep"]

T = TypeVar("T")


def run_blocking(function: Callable[..., T], *args: Any) -> T:
    """Call a function that blocks."""
    return function(*args)
