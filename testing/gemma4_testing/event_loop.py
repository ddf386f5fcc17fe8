"""Tests in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

__all__ = ["in_loop"]

P = ParamSpec("P")


def in_loop(test: Callable[P, Coroutine[Any, Any, object]]) -> Callable[P, None]:
    """A coroutine function as a test. One that hangs ends after 240 s, before pytest's limit."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 240))

    return run
