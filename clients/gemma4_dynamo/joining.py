"""The time in which Dynamo's library connects: signals, and what it raises."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from gemma4_runtime.one_line import one_line

from gemma4_dynamo.options import OptionsError, WorkerOptions

__all__ = ["joining", "set_at_signals"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def set_at_signals(stop: asyncio.Event) -> None:
    """Set ``stop`` at SIGTERM and SIGINT. Belongs to the running event loop."""
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


@contextmanager
def joining(options: WorkerOptions, stop: asyncio.Event) -> Iterator[None]:
    """Let a signal end the process, since Dynamo's runtime waits two minutes for etcd and NATS and
    lets nothing else run meanwhile; after that it sets ``stop``. Raises
    :class:`~gemma4_dynamo.options.OptionsError` for what Dynamo's library raises."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    except Exception as error:  # Dynamo's library raises no kind of its own
        raise OptionsError(
            f"--discovery-backend {options.discovery}, --request-plane {options.request_plane}, "
            f"--event-plane {options.event_plane}, or a variable DYN_...: Dynamo says "
            f"{one_line(str(error))}; docs/dynamo.md says what each needs"
        ) from error
    set_at_signals(stop)
