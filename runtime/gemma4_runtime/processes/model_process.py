"""What every model process does beside its work: show that it lives, and end when it is broken.

A process that lost a thread answers some requests and hangs others, while Triton says that it is
ready. Such a process is worth nothing, so it ends at once, and ``gemma4 serve`` starts the server
again.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - the Python backend would, at the first request, in 10 to 25 ms
import os
import threading
import traceback
from pathlib import Path

from gemma4_runtime.logs.events import flush_events, log_event
from gemma4_runtime.processes.heartbeat import Heartbeat
from gemma4_runtime.processes.siblings import end_siblings
from gemma4_runtime.settings import Settings

__all__ = ["EXIT_BROKEN", "EXIT_ORPHAN", "end_process", "start_model_process"]

EXIT_BROKEN = 70
"""Exit status of a process one of whose threads has ended by an exception."""
EXIT_ORPHAN = 71
"""Exit status of a process whose parent has gone."""
_STACK_LINES = 8
"""Lines of the stack that the log gets."""
_SHM = Path("/dev/shm")


def start_model_process(settings: Settings) -> Heartbeat:
    """Call this first in a model's ``initialize``; close what it returns in ``finalize``. From now
    on the process ends when one of its threads ends by an exception, or when its parent is gone:
    then it also removes the shared memory that the parent could not remove, and the other processes
    of the same parent that cannot see it."""
    threading.excepthook = _on_thread_death
    return Heartbeat(settings.run_dir, on_orphan=lambda: _end_orphan(settings))


def _end_orphan(settings: Settings) -> None:
    try:
        for region in _SHM.glob(f"{settings.shm_prefix}*") if settings.shm_prefix else ():
            region.unlink(missing_ok=True)
        end_siblings(settings.run_dir)
    finally:
        os._exit(EXIT_ORPHAN)


def end_process(event: str, **fields: object) -> None:
    """Log why, and end this process without further ceremony."""
    log_event(event, level="error", **fields)
    flush_events()
    os._exit(EXIT_BROKEN)


def _on_thread_death(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:
        return
    stack = traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
    end_process(
        "thread_died",
        thread="" if args.thread is None else args.thread.name,
        error=repr(args.exc_value),
        stack="".join(stack[-_STACK_LINES:]),
    )
