"""The time in which Dynamo's library connects: signals, and what it raises."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from gemma4_runtime.one_line import one_line

from gemma4_dynamo.options import OptionsError, WorkerOptions

__all__ = ["joining", "set_at_signals"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_AT_ONCE = 130
"""Exit status after a second signal, as of SIGINT in a shell (128 + 2)."""


def set_at_signals(stop: asyncio.Event) -> None:
    """Set ``stop`` at SIGTERM and SIGINT; a second one ends the process at once. Belongs to the
    running event loop."""
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, _stop_or_end, stop)


def _stop_or_end(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(_AT_ONCE)
    stop.set()


def _end_at(number: int) -> None:
    """Have the signal end the process, whatever holds Python's lock. Linux drops a signal without a
    handler that the first process of a container gets, so there the C library's ``_exit`` is the
    handler: the signal's number becomes the exit status."""
    signal.signal(number, signal.SIG_DFL)
    if os.getpid() == 1:
        library = ctypes.CDLL(None)
        library.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        library.signal(number, ctypes.cast(library._exit, ctypes.c_void_p))


@contextmanager
def joining(options: WorkerOptions, stop: asyncio.Event) -> Iterator[None]:
    """Let a signal end the process, since Dynamo's runtime waits two minutes for etcd and NATS and
    lets nothing else run meanwhile; after that it sets ``stop``, as one does that came just before.
    Raises :class:`~gemma4_dynamo.options.OptionsError` for what Dynamo's library raises."""
    for number in _SIGNALS:
        _end_at(number)  # the loop keeps its handler, for a signal that it has not seen yet
    try:
        yield
    except Exception as error:  # Dynamo's library raises no kind of its own
        raise OptionsError(
            f"--discovery-backend {options.discovery}, --request-plane {options.request_plane}, "
            f"--event-plane {options.event_plane}, or a variable DYN_...: Dynamo says "
            f"{one_line(str(error))}; docs/dynamo.md says what each needs"
        ) from error
    set_at_signals(stop)
