"""What can go wrong before or around a run; a failed request is a record, not one of these."""

from __future__ import annotations

from gemma4_runtime.picklable import PicklableError

__all__ = ["LoadError", "OptionError", "ResultsError", "TargetError"]


class LoadError(PicklableError):
    """Base of all; the message says what to do."""


class OptionError(LoadError):
    """An option, a trace or a report that cannot be used; the message names it."""


class ResultsError(LoadError):
    """Results cannot be written."""


class TargetError(LoadError):
    """A request that failed. ``status`` is gRPC's name of the status, ``code`` the server's own
    name of the error ("" when it gave none)."""

    def __init__(self, status: str, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
