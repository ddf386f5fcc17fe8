"""Groups of tasks and of errors, for every Python that load tests may run on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gemma4_load.errors import LoadError

if sys.version_info >= (3, 11):
    from asyncio import TaskGroup
    from builtins import BaseExceptionGroup
else:
    from exceptiongroup import BaseExceptionGroup
    from taskgroup import TaskGroup

__all__ = ["TaskGroup", "ungrouped"]


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raise one :class:`LoadError` by itself where a group of tasks ends with nothing else."""
    try:
        yield
    except BaseExceptionGroup as group:
        ours, others = group.split(LoadError)
        if ours is None or others is not None:
            raise
        raise _first(ours) from None


def _first(error: BaseException) -> BaseException:
    """Return one of the errors of a group."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
