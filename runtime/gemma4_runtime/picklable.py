"""Exceptions that go through pickle, and so through process pools."""

from __future__ import annotations

from typing import Any

__all__ = ["PicklableError"]


class PicklableError(Exception):
    """Python makes a pickled exception anew from ``args`` alone, which fails, or loses what it
    says, when the constructor takes more than its message. These bring their attributes along."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self.args, self.__dict__)


def _remade(
    kind: type[PicklableError], args: tuple[Any, ...], said: dict[str, Any]
) -> PicklableError:
    """Make the exception without its constructor."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(said)
    return error
