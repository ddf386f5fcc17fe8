"""End the process of an engine that was lost inside it, so that the supervisor starts anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread

from gemma4_runtime.engines.base import Engine
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.logs.events import log_event
from gemma4_runtime.processes.model_process import end_process
from gemma4_runtime.server.board import Board, Field

__all__ = ["LossWatch"]

_POLL_S = 0.25
"""Seconds between two looks at the engine."""
_GRACE_S = 2.0
"""For the streams to hear of it, and for other copies of the model to end short answers."""
_CLOSE_S = 5.0
"""For the engine to free its GPUs, which the next start needs."""


class LossWatch:
    """Polls in a thread until :meth:`close`. ``abort`` ends every open stream with an error."""

    def __init__(
        self, engine: Engine, board: Board, *, abort: Callable[[RequestError], None]
    ) -> None:
        self._engine = engine
        self._board = board
        self._abort = abort
        self._stop = Event()
        self._thread = Thread(target=self._run, name="loss-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_POLL_S):
            if self._engine.stats().lost:
                log_event("engine_lost_inside", level="error", grace_s=_GRACE_S)
                self._wait_idle()
                self._abort(
                    RequestError(Code.ENGINE_LOST, "the engine was lost; the server restarts")
                )
                closing = Thread(target=self._engine.close, daemon=True)
                closing.start()
                closing.join(_CLOSE_S)
                self._wait_idle()
                end_process("engine_lost_inside_ends_the_process")

    def _wait_idle(self) -> None:
        end = time.monotonic() + _GRACE_S
        while time.monotonic() < end and self._board[Field.IN_FLIGHT]:
            time.sleep(_POLL_S)
