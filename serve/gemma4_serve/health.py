"""Whether a server lives and whether it is ready, and why not."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from gemma4_runtime.server.board import Board, Field

__all__ = ["SILENT_S", "Health", "State"]

SILENT_S = 60.0
"""Seconds without a look of the supervisor's main thread after which it does not live any more."""

_Status = Literal["live", "ready", "starting", "restarting", "draining", "not ready"]
_GATE = (
    "the quality gate failed: the engine does not give the answers that were recorded when it was "
    "built; see quality_gate_failed in the log, and docs/operations.md#gemma4qualitygatefailed"
)


@dataclass(frozen=True, slots=True)
class State:
    """``reason`` is empty when all is well. ``gate``: what the last run of the quality gate means,
    also where a failure does not take readiness away."""

    status: _Status
    reason: str = ""
    gate: Literal["", "failed"] = ""

    @property
    def well(self) -> bool:
        return self.status in ("live", "ready")

    def body(self) -> dict[str, str | None]:
        """Return the fields of the JSON object that says it."""
        return {name: value or None for name, value in asdict(self).items()}


class Health:
    """Told by the supervisor's main thread, asked by any. ``board``: the path of the status board,
    which every server makes anew."""

    def __init__(self, board: Path) -> None:
        self._board = board
        self._phase = State("starting", "the engine is loading")
        self._looked = time.monotonic()

    def look(self) -> None:
        """Take note that the main thread runs."""
        self._looked = time.monotonic()

    def starting(self) -> None:
        if self._phase.status != "restarting":  # which says more
            self._phase = State("starting", "the engine is loading")

    def serving(self) -> None:
        self._phase = State("ready")

    def restarting(self, cause: str) -> None:
        """Say that the server is started again, after ``cause``."""
        self._phase = State("restarting", f"the server was lost and starts again: {cause}")

    def draining(self) -> None:
        self._phase = State("draining", "told to stop: what runs is finished, none is begun")

    def live(self) -> State:
        """Say whether a new start could help. While a server loads or restarts, none could."""
        silent = time.monotonic() - self._looked
        if silent > SILENT_S:
            return State("not ready", f"the supervisor has stood still for {silent:.0f} s")
        return State("live")

    def ready(self) -> State:
        """Say whether the server takes requests just now."""
        phase = self._phase
        if phase.status != "ready":
            return phase
        try:
            board = Board(self._board)
        except (OSError, ValueError) as error:
            return State("not ready", f"the status board cannot be read: {type(error).__name__}")
        try:
            gate: Literal["", "failed"] = "failed" if board[Field.GATE_FAILED] else ""
            if board[Field.GATE_CLOSED]:
                return State("not ready", _GATE, gate)
            if board[Field.DRAINING]:
                return State("draining", "the engine takes no more requests", gate)
        finally:
            board.close()
        return State("ready", gate=gate)
