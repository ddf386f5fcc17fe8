"""What a client is told when a step of the ensemble meets something unforeseen.

Triton puts the traceback of an exception that leaves ``execute``, with the server's paths, into the
answer, and a decoupled request whose sender was not used stays open forever. So every model turns
every exception into one error by :func:`told`, and Triton's own words go through :func:`relayed`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from gemma4_runtime.errors import Code, RequestError, Status, parse_wire
from gemma4_runtime.logs.events import log_event

__all__ = ["attempt", "relayed", "told"]

_TRACEBACK = "\n\nAt:\n"
"""By which the Python backend starts the places of an exception."""


def told(error: Exception, step: str) -> RequestError:
    """``error`` itself if it is meant for the client; else INTERNAL that names only ``step``, and a
    log line with what happened and where."""
    if isinstance(error, RequestError):
        return error
    last = traceback.extract_tb(error.__traceback__)[-1:]
    log_event(
        "step_failed",
        level="error",
        step=step,
        error=f"{type(error).__name__}: {error}"[:1000],
        where=", ".join(f"{frame.filename}:{frame.lineno}" for frame in last),
    )
    return RequestError(Code.SERVER_FAILED, f"the {step} step failed; the server's log says why")


def attempt(send: Callable[[], object], step: str) -> None:
    """Send a last error. When that fails too there is nobody to tell but the log."""
    try:
        send()
    except Exception as error:  # noqa: BLE001 - nothing may leave execute
        told(error, step)


def relayed(text: str) -> RequestError:
    """Read the error of another step, from Triton's message, without the places in its source."""
    error = parse_wire(text) or RequestError(Code.TRITON_FAILED, text)
    if error.status is Status.INTERNAL:
        error.message = error.message.split(_TRACEBACK, maxsplit=1)[0]
    return error
