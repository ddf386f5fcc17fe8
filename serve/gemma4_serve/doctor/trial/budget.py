"""The time that a trial has, and how one check is kept within its share."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, Queue
from threading import Thread

from gemma4_client import Gemma4Error

from gemma4_serve.doctor.report import Result
from gemma4_serve.errors import ServeError

__all__ = ["Budget", "bounded"]


class Budget:
    """Counts from its making. ``seconds``: for the whole trial."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds; 0 when it is spent."""
        return max(0.0, self._end - time.monotonic())


def bounded(
    name: str, check: Callable[[], Result], seconds: float, *, give_up: Callable[[], None]
) -> Result:
    """Return what ``check`` finds, or a failure: its error, or that it took longer than
    ``seconds``. Then ``give_up`` has to end what it waits for; its thread is left behind."""
    found: Queue[Result] = Queue(1)

    def run() -> None:
        try:
            found.put(check())
        except (Gemma4Error, ServeError, TimeoutError, OSError) as error:
            found.put(Result(name, "fail", f"{type(error).__name__}: {error}"))
        except Exception as error:  # noqa: BLE001 - the other checks go on
            found.put(Result(name, "fail", f"the check itself broke: {error!r}"))

    Thread(target=run, name=name, daemon=True).start()
    try:
        return found.get(timeout=seconds)
    except Empty:
        give_up()
        return Result(name, "fail", f"not finished after {seconds:.0f} s")
